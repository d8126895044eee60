#include "mcp/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace payonce::mcp {
namespace {

void close_fd(int& fd) {
  if (fd >= 0) close(fd);
  fd = -1;
}

base::Error start_error(int error, const std::string& program) {
  const base::Code code = error == ENOENT   ? base::Code::kNotFound
                          : error == EACCES ? base::Code::kForbidden
                                            : base::Code::kUnavailable;
  return {code, fmt::format("cannot start '{}': {}; give the server's command after --", program, strerror(error))};
}

}  // namespace

Child::~Child() {
  close_fd(write_fd_);
  close_fd(read_fd_);
}

base::Status Child::start(const std::vector<std::string>& command) {
  std::array<int, 2> in{-1, -1}, out{-1, -1};
  if (pipe2(in.data(), O_CLOEXEC) != 0 || pipe2(out.data(), O_CLOEXEC) != 0) {
    const int error = errno;
    for (int& fd : in) close_fd(fd);
    return base::fail(start_error(error, command[0]));
  }
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, in[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, out[1], STDOUT_FILENO);
  // What this process ignores would stay ignored.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);

  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  const int error = posix_spawnp(&pid_, words[0], &files, &attributes, words.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  close_fd(in[0]);
  close_fd(out[1]);
  write_fd_ = in[1];
  read_fd_ = out[0];
  if (error == 0) return {};
  pid_ = -1;
  return base::fail(start_error(error, command[0]));
}

void Child::close_input() { close_fd(write_fd_); }

int Child::wait() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0)
    if (errno != EINTR) return 1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace payonce::mcp
