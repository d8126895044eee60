#include "epoll_http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

namespace payonce::bench {
namespace {

constexpr size_t kFirstBuffer = 64 * 1024;  // the 41.7 KB body in one read
constexpr size_t kLargestRequest = 16 * 1024 * 1024;
constexpr int kEventsPerWait = 256;

int descriptor_of(EpollHttp::ConnectionId id) { return static_cast<int>(id & 0xffffffffU); }

std::optional<size_t> content_length(std::string_view head) {
  constexpr std::string_view kName = "\ncontent-length:";
  for (size_t at = head.find('\n'); at != std::string_view::npos; at = head.find('\n', at + 1)) {
    std::string_view line = head.substr(at);
    if (line.size() <= kName.size() || strncasecmp(line.data(), kName.data(), kName.size()) != 0) continue;
    line.remove_prefix(kName.size());
    while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
    size_t length = 0;
    auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), length);
    if (error != std::errc() || length > kLargestRequest) return std::nullopt;
    return length;
  }
  return 0;
}

}  // namespace

EpollHttp::EpollHttp(uint16_t port, Handler handler) : handler_(std::move(handler)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(listener_, 4096) != 0) {
    die("cannot listen on 127.0.0.1:" + std::to_string(port) + ": " + std::strerror(errno));
  }
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) die(std::string("epoll_create1: ") + std::strerror(errno));
  watch(listener_, EPOLLIN, EPOLL_CTL_ADD);
}

void EpollHttp::watch(int fd, uint32_t events, int operation) const {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  epoll_ctl(epoll_, operation, fd, &event);
}

void EpollHttp::run() {
  std::array<epoll_event, kEventsPerWait> events;
  for (;;) {
    timespec left{};
    const int ready =
        epoll_pwait2(epoll_, events.data(), kEventsPerWait, time_left(&left) ? &left : nullptr, nullptr);
    if (ready < 0 && errno != EINTR) die(std::string("epoll_pwait2 (Linux 5.11): ") + std::strerror(errno));
    for (int i = 0; i < ready; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.fd == listener_) {
        accept_all();
        continue;
      }
      if ((event.events & EPOLLOUT) != 0) flush(event.data.fd);
      if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read_from(event.data.fd);
    }
    fire_timers();
  }
}

bool EpollHttp::time_left(timespec* left) const {
  if (timers_.empty()) return false;
  const auto span = std::max(timers_.top().due - Clock::now(), Clock::duration::zero());
  const auto seconds = std::chrono::floor<std::chrono::seconds>(span);
  left->tv_sec = static_cast<time_t>(seconds.count());
  left->tv_nsec = static_cast<long>(std::chrono::nanoseconds(span - seconds).count());
  return true;
}

void EpollHttp::fire_timers() {
  // Only those that were due at entry: a stream that sets its next timer to "now" must let sockets be read between.
  const uint64_t last = timer_order_;
  const Clock::time_point now = timers_.empty() ? Clock::time_point() : Clock::now();
  while (!timers_.empty() && timers_.top().due <= now && timers_.top().order <= last) {
    auto action = timers_.top().action;
    timers_.pop();
    action();
  }
}

void EpollHttp::after(std::chrono::microseconds delay, std::function<void()> action) {
  timers_.push({Clock::now() + delay, ++timer_order_, std::move(action)});
}

void EpollHttp::accept_all() {
  for (;;) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const auto index = static_cast<size_t>(fd);
    if (connections_.size() <= index) connections_.resize(index + 1);
    connections_[index].id = (static_cast<uint64_t>(++generation_) << 32) | static_cast<uint32_t>(fd);
    watch(fd, EPOLLIN, EPOLL_CTL_ADD);
  }
}

EpollHttp::Connection* EpollHttp::find(ConnectionId id) {
  return const_cast<Connection*>(std::as_const(*this).find(id));
}

const EpollHttp::Connection* EpollHttp::find(ConnectionId id) const {
  const auto index = static_cast<size_t>(descriptor_of(id));
  return index < connections_.size() && connections_[index].id == id ? &connections_[index] : nullptr;
}

bool EpollHttp::is_open(ConnectionId id) const { return find(id) != nullptr; }

bool EpollHttp::can_send(ConnectionId id) const {
  const Connection* connection = find(id);
  return connection != nullptr && connection->out.empty();
}

void EpollHttp::read_from(int fd) {
  Connection& connection = connections_[static_cast<size_t>(fd)];
  if (connection.id == 0) return;
  if (connection.in_end == connection.in_capacity) {
    const size_t kept = connection.in_end - connection.in_begin;
    const size_t capacity = connection.in_capacity == 0 ? kFirstBuffer : connection.in_capacity * 2;
    if (capacity > kLargestRequest * 2) return close_connection(fd);
    std::unique_ptr<char[]> larger(new char[capacity]);
    if (kept != 0) std::memcpy(larger.get(), connection.in.get() + connection.in_begin, kept);
    connection.in = std::move(larger);
    connection.in_capacity = capacity;
    connection.in_begin = 0;
    connection.in_end = kept;
  }
  const ssize_t got =
      recv(fd, connection.in.get() + connection.in_end, connection.in_capacity - connection.in_end, 0);
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return close_connection(fd);
  if (got < 0) return;
  connection.in_end += static_cast<size_t>(got);
  if (!connection.answering) serve_buffered(fd);
}

void EpollHttp::serve_buffered(int fd) {
  for (;;) {
    Connection& connection = connections_[static_cast<size_t>(fd)];
    if (connection.id == 0 || connection.answering) return;
    if (connection.in_begin == connection.in_end) {
      connection.in_begin = connection.in_end = 0;
      return;
    }
    const std::string_view input(connection.in.get() + connection.in_begin, connection.in_end - connection.in_begin);
    const size_t head_size = input.find("\r\n\r\n");
    if (head_size == std::string_view::npos) return;
    const std::string_view head = input.substr(0, head_size);
    const std::optional<size_t> length = content_length(head);
    if (!length) return close_connection(fd);
    const size_t total = head_size + 4 + *length;
    if (input.size() < total) return;

    HttpRequest request;
    const size_t method_end = head.find(' ');
    const size_t target_end = method_end == std::string_view::npos ? method_end : head.find(' ', method_end + 1);
    if (target_end == std::string_view::npos) return close_connection(fd);
    request.method = head.substr(0, method_end);
    request.target = head.substr(method_end + 1, target_end - method_end - 1);
    request.body = input.substr(head_size + 4, *length);
    connection.in_begin += total;
    connection.answering = true;
    handler_(connection.id, request);
  }
}

void EpollHttp::send(ConnectionId id, std::string_view bytes, Part part) {
  Connection* connection = find(id);
  if (connection == nullptr) return;
  const int fd = descriptor_of(id);
  if (part == Part::kLast) connection->answering = false;
  if (!connection->out.empty()) {
    connection->out.append(bytes);
    return;
  }
  ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) return;  // the read side sees the error and closes
  if (sent < 0) sent = 0;
  if (static_cast<size_t>(sent) == bytes.size()) return;
  connection->out.assign(bytes.substr(static_cast<size_t>(sent)));
  watch(fd, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
}

void EpollHttp::flush(int fd) {
  Connection& connection = connections_[static_cast<size_t>(fd)];
  if (connection.id == 0) return;
  const ssize_t sent = ::send(fd, connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) return close_connection(fd);
  if (sent > 0) connection.out.erase(0, static_cast<size_t>(sent));
  if (connection.out.empty()) watch(fd, EPOLLIN, EPOLL_CTL_MOD);
}

void EpollHttp::close_connection(int fd) {
  connections_[static_cast<size_t>(fd)] = Connection{};
  close(fd);
}

int64_t integer_option(int argc, char** argv, std::string_view name, int64_t otherwise) {
  for (int i = 1; i < argc; ++i) {
    if (name != argv[i]) continue;
    const std::string_view text = i + 1 < argc ? argv[i + 1] : "";
    int64_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 0) {
      die(std::string(name) + ": expected a number from 0, found '" + std::string(text) + "'");
    }
    return value;
  }
  return otherwise;
}

bool has_flag(int argc, char** argv, std::string_view name) {
  for (int i = 1; i < argc; ++i) {
    if (name == argv[i]) return true;
  }
  return false;
}

void die(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::exit(2);
}

}  // namespace payonce::bench
