#include "mcp/proxy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

#include "base/hash.h"
#include "mcp/child.h"
#include "mcp/line_reader.h"
#include "mcp/session.h"

namespace payonce::mcp {
namespace {

constexpr size_t kReadBytes = 64 * 1024;
constexpr int kNotFound = 127, kNotRunnable = 126;

volatile pid_t g_child = -1;  // for the signal handler, which can be handed nothing

// What ends us ends the server, whose end then ends us.
void forward_signal(int signal) {
  if (g_child > 0) (void)kill(g_child, signal);
}

void forward_signals_to(pid_t child) {
  g_child = child;
  struct sigaction action{};
  action.sa_handler = forward_signal;
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT}) (void)sigaction(signal, &action, nullptr);
}

// A file descriptor that takes whole pieces, from two threads.
class Output {
 public:
  explicit Output(int fd) : fd_(fd) {}
  // A piece that does not end its line keeps the output until one does, so that nothing comes between.
  void write(std::string_view text) {
    if (!lock_.owns_lock()) lock_ = std::unique_lock(mutex_);
    write_all(text);
    if (text.ends_with('\n')) lock_.unlock();
  }
  // From the other thread: a whole line.
  void write_line(std::string_view line) {
    const std::lock_guard lock(mutex_);
    write_all(line);
  }
  void end_piece() {
    if (lock_.owns_lock()) lock_.unlock();
  }

 private:
  void write_all(std::string_view text) {
    while (!text.empty() && !is_broken_) {
      const ssize_t written = ::write(fd_, text.data(), text.size());
      if (written > 0)
        text.remove_prefix(static_cast<size_t>(written));
      else if (errno != EINTR)
        is_broken_ = true;  // nobody reads any more: the rest goes nowhere
    }
  }

  const int fd_;
  std::mutex mutex_;
  std::unique_lock<std::mutex> lock_;  // of the thread that writes pieces
  bool is_broken_ = false;
};

// Bytes read, 0 at the end; blocks until there are some, or `stop_fd` can be read.
ssize_t read_some(int fd, int stop_fd, std::vector<char>& buffer) {
  for (;;) {
    std::array<pollfd, 2> wait = {pollfd{fd, POLLIN, 0}, pollfd{stop_fd, POLLIN, 0}};
    if (poll(wait.data(), stop_fd < 0 ? 1 : 2, -1) < 0 && errno == EINTR) continue;
    if (stop_fd >= 0 && wait[1].revents != 0) return 0;
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got >= 0) return got;
    if (errno != EINTR && errno != EAGAIN) return 0;
  }
}

void client_to_server(Session& session, Output& to_client, Output& to_server, Child& child, int stop_fd) {
  std::vector<char> buffer(kReadBytes);
  LineReader lines(kMaxLineBytes);
  ssize_t got = 0;
  while ((got = read_some(STDIN_FILENO, stop_fd, buffer)) > 0)
    lines.feed(
        {buffer.data(), static_cast<size_t>(got)},
        [&](std::string_view line) {
          if (const auto answer = session.on_client_line(line))
            to_client.write_line(*answer);
          else
            to_server.write(line);
        },
        [&](std::string_view piece) {
          session.on_client_piece();
          to_server.write(piece);
        });
  to_server.write(lines.rest());
  to_server.end_piece();
  child.close_input();
}

// Whether the last line was whole.
bool server_to_client(Session& session, Output& to_client, const Child& child) {
  std::vector<char> buffer(kReadBytes);
  LineReader lines(kMaxLineBytes);
  ssize_t got = 0;
  while ((got = read_some(child.read_fd(), -1, buffer)) > 0)
    lines.feed(
        {buffer.data(), static_cast<size_t>(got)},
        [&](std::string_view line) {
          if (session.on_server_line(line)) to_client.write(line);
          session.passed_on();
        },
        [&](std::string_view piece) {
          session.on_server_piece();
          to_client.write(piece);
        });
  to_client.write(lines.rest());
  to_client.end_piece();
  return lines.rest().empty();
}

// The tag of all entries of a workspace, whichever server made them.
std::string workspace_tag(const ProxySettings& settings) {
  const std::string& workspace = settings.workspace.empty() ? settings.directory : settings.workspace;
  return base::hex(base::sha256("mcp workspace " + workspace)).substr(0, 16);
}

}  // namespace

int run_proxy(const ProxySettings& settings) {
  (void)signal(SIGPIPE, SIG_IGN);
  std::array<int, 2> stop{-1, -1};
  if (pipe2(stop.data(), O_CLOEXEC) != 0) return kNotRunnable;
  Child child;
  if (const base::Status started = child.start(settings.command); !started) {
    (void)std::fprintf(stderr, "payonce: %s\n", started.error().message.c_str());
    return started.error().code == base::Code::kNotFound ? kNotFound : kNotRunnable;
  }
  forward_signals_to(child.pid());
  const std::string tag = workspace_tag(settings);
  ResultCache cache("mcp=" + tag);
  Output to_client(STDOUT_FILENO), to_server(child.write_fd());
  Session::Log log;
  if (settings.verbose)
    log = [](const std::string& text) { (void)std::fprintf(stderr, "payonce mcp: %s\n", text.c_str()); };
  Session session(
      settings, fmt::format(R"("mcp":"{}")", tag), cache, [&](std::string_view line) { to_server.write(line); }, log);

  std::thread client([&] { client_to_server(session, to_client, to_server, child, stop[0]); });
  const bool is_whole = server_to_client(session, to_client, child);
  const int status = child.wait();
  g_child = -1;
  close(stop[1]);  // ends the client's thread, also when the client keeps its end open
  client.join();
  close(stop[0]);
  const std::string errors = session.unanswered(fmt::format("the MCP server ended, exit status {}", status));
  if (!errors.empty()) to_client.write_line(is_whole ? errors : "\n" + errors);
  return status;
}

}  // namespace payonce::mcp
