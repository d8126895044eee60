#include "agent/workspace/file_state.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

namespace payonce::agent {
namespace {

constexpr int kTries = 3;  // a file that changes while it is read is read again

int64_t nanoseconds(const timespec& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

base::Result<std::string> digest_of(int fd, const std::string& path) {
  base::Sha256 hash;
  std::array<char, 64 * 1024> buffer;
  uint64_t total = 0;
  while (true) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return base::fail(base::Code::kUnavailable, fmt::format("{} cannot be read: {}", path, std::strerror(errno)));
    if (got == 0) break;
    total += static_cast<uint64_t>(got);
    if (total > FileStates::kMaxFileBytes)
      return base::fail(base::Code::kTooLarge, fmt::format("{} is larger than 64 MiB", path));
    hash.update({buffer.data(), static_cast<size_t>(got)});
  }
  return "file:" + base::hex(hash.finish());
}

}  // namespace

FileStates::Stamp FileStates::stamp_of(const struct stat& stat) {
  return {.device = stat.st_dev,
          .inode = stat.st_ino,
          .size = stat.st_size,
          .modified_ns = nanoseconds(stat.st_mtim),
          .changed_ns = nanoseconds(stat.st_ctim)};
}

bool FileStates::may_change_unseen(const Stamp& stamp) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return nanoseconds(now) - std::max(stamp.modified_ns, stamp.changed_ns) < kRacy_ms * 1'000'000;
}

base::Result<std::string> FileStates::state(const std::string& path) {
  const base::Hash128 key = hash_(path);
  struct stat stat{};
  for (int i = 0; i < kTries; ++i) {
    if (::stat(path.c_str(), &stat) != 0) {
      if (errno == ENOENT || errno == ENOTDIR) return std::string("absent");
      return base::fail(base::Code::kUnavailable, fmt::format("{}: {}", path, std::strerror(errno)));
    }
    const Stamp before = stamp_of(stat);
    {
      const std::lock_guard lock(mutex_);
      if (const Known* known = known_.find(key); known != nullptr && known->stamp == before) return known->state;
    }
    if (!S_ISREG(stat.st_mode))
      return base::fail(base::Code::kUnavailable, fmt::format("{} is no regular file", path));
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (file.get() < 0) {
      if (errno == ENOENT) continue;  // gone since
      return base::fail(base::Code::kUnavailable, fmt::format("{}: {}", path, std::strerror(errno)));
    }
    PAYONCE_TRY(std::string state, digest_of(file.get(), path));
    if (::fstat(file.get(), &stat) != 0 || stamp_of(stat) != before) continue;
    if (!may_change_unseen(before)) {
      const std::lock_guard lock(mutex_);
      known_.insert(key, {.stamp = before, .state = state});
    }
    return state;
  }
  return base::fail(base::Code::kUnavailable, fmt::format("{} keeps changing", path));
}

}  // namespace payonce::agent
