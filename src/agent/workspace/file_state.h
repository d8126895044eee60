// What is in a file, remembered by its stat, so that a check costs one system call.
//
// A stat that is equal in device, inode, size, mtime and ctime means equal bytes: unlike mtime, ctime cannot be set
// back. One exception, as in Git's "racy" index entries: a file changed in the clock tick in which it was read keeps
// its ctime, so digests of files that are younger than kRacy_ms are not relied upon.
//
// Threads: all any.  Errors: kTooLarge; kUnavailable: no regular file, not readable, or changing while it is read.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <mutex>
#include <string>

#include "base/hash.h"
#include "base/lru_map.h"
#include "base/result.h"

namespace payonce::agent {

class FileStates {
 public:
  static constexpr uint64_t kMaxFileBytes = 64u << 20;
  static constexpr int64_t kRacy_ms = 100;
  explicit FileStates(size_t capacity = 65'536) : known_(capacity) {}

  // "absent", or "file:" and the SHA-256 of its bytes. Reads the file where its stat is not known.
  base::Result<std::string> state(const std::string& path);

 private:
  struct Stamp {
    uint64_t device = 0, inode = 0;
    int64_t size = 0, modified_ns = 0, changed_ns = 0;
    bool operator==(const Stamp&) const = default;
  };
  struct Known {
    Stamp stamp;
    std::string state;
  };
  static Stamp stamp_of(const struct stat& stat);
  static bool may_change_unseen(const Stamp& stamp);

  const base::KeyedHash hash_;
  std::mutex mutex_;
  base::LruMap<Known> known_;  // guarded by mutex_
};

}  // namespace payonce::agent
