// A one-thread HTTP/1.1 server on epoll: what the mock upstream and the bare loop stand on. It knows only what the
// benchmarks send (Content-Length bodies, keep-alive, no pipelining), so that it adds next to nothing to what is
// measured. Threads: one, all calls from within run(). Errors at start end the process with a message: these are
// tools.
#pragma once

#include <time.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <string_view>
#include <vector>

namespace payonce::bench {

struct HttpRequest {
  std::string_view method;
  std::string_view target;
  std::string_view body;
};

class EpollHttp {
 public:
  using Clock = std::chrono::steady_clock;
  using ConnectionId = uint64_t;  // never used twice, so a late timer cannot reach a successor
  // The views of the request live until the handler returns. The handler answers with send(), now or later.
  using Handler = std::function<void(ConnectionId, const HttpRequest&)>;

  EpollHttp(uint16_t port, Handler handler);
  void run();  // until the process is killed

  enum class Part { kMore, kLast };
  // kLast ends the answer: the next request of that connection may be read. A closed connection is ignored.
  void send(ConnectionId id, std::string_view bytes, Part part);
  // False while the peer does not read; also for a closed connection.
  bool can_send(ConnectionId id) const;
  bool is_open(ConnectionId id) const;
  void after(std::chrono::microseconds delay, std::function<void()> action);

 private:
  struct Connection {
    ConnectionId id = 0;  // 0: this descriptor is not a connection
    std::unique_ptr<char[]> in;
    size_t in_capacity = 0;
    size_t in_begin = 0;
    size_t in_end = 0;
    std::string out;  // what the socket did not take
    bool answering = false;
  };
  struct Timer {
    Clock::time_point due;
    uint64_t order;  // equal times fire in the order of setting
    std::function<void()> action;
    bool operator>(const Timer& other) const { return due != other.due ? due > other.due : order > other.order; }
  };

  Connection* find(ConnectionId id);
  const Connection* find(ConnectionId id) const;
  void accept_all();
  void read_from(int fd);
  void serve_buffered(int fd);
  void flush(int fd);
  void close_connection(int fd);
  void watch(int fd, uint32_t events, int operation) const;
  bool time_left(timespec* left) const;  // until the next timer; false: there is none
  void fire_timers();

  Handler handler_;
  int epoll_ = -1;
  int listener_ = -1;
  uint32_t generation_ = 0;
  uint64_t timer_order_ = 0;
  std::vector<Connection> connections_;  // by descriptor
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
};

// "--name value" of the command line, else `otherwise`; a wrong number ends the process with a message.
int64_t integer_option(int argc, char** argv, std::string_view name, int64_t otherwise);
bool has_flag(int argc, char** argv, std::string_view name);
[[noreturn]] void die(const std::string& message);

}  // namespace payonce::bench
