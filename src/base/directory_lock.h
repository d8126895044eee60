// One process per data directory: an flock on a file in it, released when the object or the process ends.
// Threads: an object one at a time.  Errors: kUnavailable when another process holds it, or the file cannot be made.
#pragma once

#include <string>

#include "base/result.h"

namespace payonce::base {

class DirectoryLock {
 public:
  static Result<DirectoryLock> take(const std::string& directory);
  DirectoryLock(DirectoryLock&& other) noexcept;
  DirectoryLock& operator=(DirectoryLock&&) = delete;
  ~DirectoryLock();

 private:
  explicit DirectoryLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace payonce::base
