// Reads event streams and measures them: time to the first event of the body, to the end, events a second. Each
// stream asks a different question, so that a cache in the path misses.
//
//   sse_client --port N --body FILE [--streams N] [--connections N] [--seed N]
//
// FILE holds a request body with the mark kMark in it; the mark becomes the number of the request. Prints one line
// of JSON. Times are microseconds from the request's send() to the read that completed the first event, or the last.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "epoll_http.h"

namespace payonce::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::string_view kMark = "000000000000";

// Takes "Transfer-Encoding: chunked" apart and counts the events in what remains. A gateway may cut chunks anywhere.
class EventCounter {
 public:
  void reset() { *this = EventCounter(); }
  bool ended() const { return state_ == State::kEnd; }
  bool broken() const { return state_ == State::kBroken; }
  int64_t events() const { return events_; }
  bool complete() const { return tail_.ends_with("data: [DONE]\n\n"); }

  void feed(std::string_view bytes) {
    while (!bytes.empty() && state_ != State::kEnd && state_ != State::kBroken) {
      if (state_ == State::kData) {
        const size_t take = std::min(left_, bytes.size());
        count(bytes.substr(0, take));
        bytes.remove_prefix(take);
        left_ -= take;
        if (left_ == 0) state_ = State::kLine;
        continue;
      }
      const char byte = bytes.front();
      bytes.remove_prefix(1);
      if (byte == '\n') {
        end_line();
      } else if (byte != '\r') {
        line_ += byte;
      }
    }
  }

 private:
  enum class State { kLine, kData, kTrailer, kEnd, kBroken };

  void end_line() {
    if (state_ == State::kTrailer) {
      if (line_.empty()) state_ = State::kEnd;
    } else if (!line_.empty()) {  // an empty line ends the data of the chunk before
      auto [end, error] = std::from_chars(line_.data(), line_.data() + line_.size(), left_, 16);
      state_ = error != std::errc() ? State::kBroken : left_ == 0 ? State::kTrailer : State::kData;
    }
    line_.clear();
  }

  void count(std::string_view data) {
    if (data.front() == '\n' && tail_.ends_with('\n')) ++events_;
    for (size_t at = data.find("\n\n"); at != std::string_view::npos; at = data.find("\n\n", at + 2)) ++events_;
    tail_.append(data.substr(data.size() - std::min<size_t>(data.size(), 16)));
    if (tail_.size() > 16) tail_.erase(0, tail_.size() - 16);
  }

  State state_ = State::kLine;
  size_t left_ = 0;
  int64_t events_ = 0;
  std::string line_;
  std::string tail_;
};

struct Stream {
  int fd = -1;
  bool in_body = false;
  bool first_seen = false;
  std::string head;
  EventCounter counter;
  Clock::time_point sent;
};

struct Totals {
  std::vector<int64_t> first_us;
  std::vector<int64_t> end_us;
  int64_t events = 0;
  int64_t errors = 0;
  int64_t bytes = 0;
};

int64_t since_us(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count();
}

int64_t percentile(std::vector<int64_t>& values, int64_t percent) {
  if (values.empty()) return -1;
  std::sort(values.begin(), values.end());
  const auto last = static_cast<int64_t>(values.size()) - 1;
  return values[static_cast<size_t>(last * percent / 100)];
}

class Client {
 public:
  Client(int64_t port, std::string body, int64_t streams, int64_t connections, int64_t seed)
      : port_(port), body_(std::move(body)), mark_(body_.find(kMark)), to_start_(streams), number_(seed) {
    if (mark_ == std::string::npos) die("the body must contain " + std::string(kMark));
    if (std::to_string(seed + streams).size() > kMark.size()) die("--seed: at most 12 digits");
    for (int64_t i = 0; i < std::min(connections, streams); ++i) {
      streams_.emplace_back().fd = connect_to();
      polled_.push_back({streams_.back().fd, POLLIN, 0});
    }
  }

  Totals run() {
    for (Stream& stream : streams_) start(stream);
    while (running_ > 0) {
      if (poll(polled_.data(), polled_.size(), 30'000) <= 0) die("no event for 30 s");
      for (size_t i = 0; i < polled_.size(); ++i) {
        if (polled_[i].revents != 0) read_from(i);
      }
    }
    return std::move(totals_);
  }

 private:
  int connect_to() const {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port_));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      die("cannot connect to 127.0.0.1:" + std::to_string(port_) + ": " + std::strerror(errno));
    }
    return fd;
  }

  void start(Stream& stream) {
    const std::string number = std::to_string(number_++);
    body_.replace(mark_ + kMark.size() - number.size(), number.size(), number);
    const std::string request =
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Authorization: Bearer bench\r\nContent-Type: application/json\r\nContent-Length: " +
        std::to_string(body_.size()) + "\r\n\r\n" + body_;
    stream.in_body = stream.first_seen = false;
    stream.head.clear();
    stream.counter.reset();
    --to_start_;
    ++running_;
    stream.sent = Clock::now();
    if (send(stream.fd, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
      die("a request could not be sent whole");
    }
  }

  void read_from(size_t index) {
    Stream& stream = streams_[index];
    static char buffer[256 * 1024];
    const ssize_t got = recv(stream.fd, buffer, sizeof buffer, 0);
    if (got <= 0) return finish(index, false);
    totals_.bytes += got;
    std::string_view bytes(buffer, static_cast<size_t>(got));
    if (!stream.in_body) {
      stream.head.append(bytes);
      const size_t end = stream.head.find("\r\n\r\n");
      if (end == std::string::npos) return;
      stream.in_body = true;
      if (!stream.head.starts_with("HTTP/1.1 200")) return finish(index, false);
      bytes = std::string_view(stream.head).substr(end + 4);
    }
    stream.counter.feed(bytes);
    if (!stream.first_seen && stream.counter.events() > 0) {
      stream.first_seen = true;
      totals_.first_us.push_back(since_us(stream.sent));
    }
    if (stream.counter.broken()) return finish(index, false);
    if (stream.counter.ended()) finish(index, stream.counter.complete());
  }

  void finish(size_t index, bool good) {
    Stream& stream = streams_[index];
    --running_;
    totals_.events += stream.counter.events();
    if (good) {
      totals_.end_us.push_back(since_us(stream.sent));
    } else {
      ++totals_.errors;
      close(stream.fd);
      stream.fd = connect_to();
      polled_[index].fd = stream.fd;
    }
    if (to_start_ > 0) {
      start(stream);
    } else {
      polled_[index].fd = -1;
    }
  }

  int64_t port_;
  std::string body_;
  size_t mark_;
  int64_t to_start_;
  int64_t number_;
  int64_t running_ = 0;
  std::vector<Stream> streams_;
  std::vector<pollfd> polled_;
  Totals totals_;
};

}  // namespace
}  // namespace payonce::bench

int main(int argc, char** argv) {
  using namespace payonce::bench;
  std::string path;
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::string_view(argv[i]) == "--body") path = argv[i + 1];
  }
  const int64_t port = integer_option(argc, argv, "--port", 0);
  if (port < 1 || port > 65535 || path.empty()) {
    die("usage: sse_client --port N --body FILE [--streams N] [--connections N] [--seed N]");
  }
  std::ifstream file(path, std::ios::binary);
  std::string body((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  Client client(port, std::move(body), integer_option(argc, argv, "--streams", 100),
                integer_option(argc, argv, "--connections", 1), integer_option(argc, argv, "--seed", 0));
  const Clock::time_point start = Clock::now();
  Totals totals = client.run();
  const double seconds = static_cast<double>(since_us(start)) / 1e6;
  std::printf(R"({"streams":%zu,"errors":%lld,"events":%lld,"bytes":%lld,"seconds":%.6f,"first_p50_us":%lld,)"
              R"("first_p99_us":%lld,"end_p50_us":%lld,"end_p99_us":%lld})"
              "\n",
              totals.end_us.size(), static_cast<long long>(totals.errors), static_cast<long long>(totals.events),
              static_cast<long long>(totals.bytes), seconds, static_cast<long long>(percentile(totals.first_us, 50)),
              static_cast<long long>(percentile(totals.first_us, 99)),
              static_cast<long long>(percentile(totals.end_us, 50)),
              static_cast<long long>(percentile(totals.end_us, 99)));
}
