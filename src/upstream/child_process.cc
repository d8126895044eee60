#include "upstream/child_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <string_view>

namespace payonce::upstream {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  const int number_;
};

base::Error system_error(std::string_view what) {
  return {base::Code::kUnavailable, fmt::format("{}: {}", what, std::strerror(errno))};
}

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// In the child, between fork and exec: only async-signal-safe calls, since other threads may have held locks.
[[noreturn]] void become(char* const* arguments, int log, int report, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() == parent) {  // else it died before the line above
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);  // we may block signals, the child must not
    signal(SIGPIPE, SIG_DFL);
    const int nothing = open("/dev/null", O_RDONLY);
    dup2(nothing, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    // Closed by exec, so that `report` still tells of a failed one.
    syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    execv(arguments[0], arguments);
  }
  const int error = errno;
  [[maybe_unused]] const ssize_t written = write(report, &error, sizeof error);
  _exit(127);
}

}  // namespace

base::Result<pid_t> start_child(const std::vector<std::string>& arguments, const std::string& log_file) {
  const Descriptor log(open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (log.number() < 0) return base::fail(system_error(log_file));
  std::array<int, 2> pipe_ends{};
  if (pipe2(pipe_ends.data(), O_CLOEXEC) != 0) return base::fail(system_error("pipe"));
  const Descriptor reader(pipe_ends[0]);
  std::vector<char*> pointers;
  for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  const pid_t parent = getpid();
  pid_t child = -1;
  {
    const Descriptor writer(pipe_ends[1]);
    child = fork();
    if (child < 0) return base::fail(system_error("fork"));
    if (child == 0) become(pointers.data(), log.number(), writer.number(), parent);
  }
  // exec closes the pipe; an error number means that there was none.
  int error = 0;
  ssize_t got = 0;
  do got = read(reader.number(), &error, sizeof error);
  while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(sizeof error)) return child;
  waitpid(child, nullptr, 0);
  errno = error;
  return base::fail(system_error(arguments[0]));
}

std::optional<std::string> child_end(pid_t process) {
  int status = 0;
  const pid_t ended = waitpid(process, &status, WNOHANG);
  if (ended == 0 || (ended < 0 && errno == EINTR)) return std::nullopt;
  if (ended < 0) return fmt::format("unknown ({})", std::strerror(errno));
  if (WIFSIGNALED(status)) return fmt::format("signal {}", WTERMSIG(status));
  return fmt::format("exit status {}", WEXITSTATUS(status));
}

base::Result<uint16_t> free_loopback_port() {
  const Descriptor socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (socket_.number() < 0 || bind(socket_.number(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      getsockname(socket_.number(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return base::fail(system_error("a free port of 127.0.0.1"));
  return ntohs(address.sin_port);
}

int http_get_status(uint16_t port, const std::string& path, int timeout_ms) {
  const Descriptor socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval timeout{.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
  setsockopt(socket_.number(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  setsockopt(socket_.number(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  const sockaddr_in address = loopback(port);
  if (connect(socket_.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return 0;
  const std::string request = fmt::format("GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", path);
  if (send(socket_.number(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    return 0;
  // "HTTP/1.1 200": the first twelve bytes hold the status (RFC 9112, section 4).
  std::array<char, 12> line{};
  if (recv(socket_.number(), line.data(), line.size(), MSG_WAITALL) != static_cast<ssize_t>(line.size())) return 0;
  int status = 0;
  std::from_chars(line.data() + 9, line.data() + line.size(), status);
  return status;
}

}  // namespace payonce::upstream
