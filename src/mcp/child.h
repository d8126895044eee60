// The server's process: its standard input and output are ours, its standard error stays the terminal's.
// Threads: start once; write_fd and read_fd one thread each; wait() one; signals any.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"

namespace payonce::mcp {

class Child {
 public:
  ~Child();
  // kNotFound, kForbidden, kUnavailable: it could not be started, and why.
  base::Status start(const std::vector<std::string>& command);
  pid_t pid() const { return pid_; }
  int write_fd() const { return write_fd_; }
  int read_fd() const { return read_fd_; }
  void close_input();
  // Blocks until it has ended: its exit status, 128 + N after signal N.
  int wait();

 private:
  pid_t pid_ = -1;
  int write_fd_ = -1, read_fd_ = -1;
};

}  // namespace payonce::mcp
