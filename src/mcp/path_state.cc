#include "mcp/path_state.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <vector>

#include "base/hash.h"

namespace payonce::mcp {
namespace {

constexpr size_t kDigits = 32;
// The file system's clock moves in ticks of up to 10 ms: two writes in one tick look like one.
constexpr int64_t kTickNs = 20'000'000;

int64_t nanoseconds(const timespec& time) { return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec; }

std::string told(const struct stat& is) {
  return fmt::format("{:o} {} {} {} {} {} {} {}", is.st_mode, is.st_dev, is.st_ino, is.st_size, is.st_uid, is.st_gid,
                     nanoseconds(is.st_mtim), nanoseconds(is.st_ctim));
}

class Walk {
 public:
  Walk(std::string root, size_t& budget) : root_(std::move(root)), budget_(budget) {}

  bool directory(const std::string& path, const std::string& name) {
    DIR* stream = opendir(path.c_str());
    if (stream == nullptr) return false;
    bool good = true;
    while (const dirent* entry = good ? readdir(stream) : nullptr) {
      const std::string child = entry->d_name;
      if (child == "." || child == ".." || is_passed_over(name, child)) continue;
      good = this->entry(dirfd(stream), path + "/" + child, name.empty() ? child : name + "/" + child, child);
    }
    closedir(stream);
    return good;
  }

  std::optional<std::string> state() {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    if (nanoseconds(now) - newest_ < kTickNs) return std::nullopt;
    std::sort(entries_.begin(), entries_.end());
    base::Sha256 hash;
    for (const std::string& entry : entries_) hash.update(entry);
    return base::hex(hash.finish()).substr(0, kDigits);
  }

 private:
  // Of a repository: what it is made of follows from HEAD, refs and index, and is large.
  static bool is_passed_over(const std::string& in, const std::string& child) {
    const bool in_git = in == ".git" || in.ends_with("/.git");
    return in_git && (child == "objects" || child == "logs" || child == "lfs");
  }

  bool entry(int directory_fd, const std::string& path, const std::string& name, const std::string& child) {
    struct stat is{};
    if (budget_ == 0 || fstatat(directory_fd, child.c_str(), &is, AT_SYMLINK_NOFOLLOW) != 0) return false;
    --budget_;
    add(name, is);
    if (S_ISDIR(is.st_mode)) return this->directory(path, name);
    return !S_ISLNK(is.st_mode) || link(path, name);
  }

  bool link(const std::string& path, const std::string& name) {
    struct stat target{};
    if (stat(path.c_str(), &target) != 0) return true;  // to nothing: the link itself is noted
    add(name + " ->", target);
    if (!S_ISDIR(target.st_mode)) return true;
    std::error_code error;
    const std::filesystem::path at = std::filesystem::canonical(path, error);
    const std::filesystem::path root = std::filesystem::canonical(root_, error);
    const auto [end, ignored] = std::mismatch(root.begin(), root.end(), at.begin(), at.end());
    return !error && end == root.end();
  }

  void add(const std::string& name, const struct stat& is) {
    newest_ = std::max({newest_, nanoseconds(is.st_mtim), nanoseconds(is.st_ctim)});
    entries_.push_back(name + '\0' + told(is) + '\0');
  }

  const std::string root_;
  size_t& budget_;
  int64_t newest_ = 0;
  std::vector<std::string> entries_;
};

}  // namespace

std::optional<std::string> file_state(const std::string& path) {
  struct stat is{};
  if (stat(path.c_str(), &is) != 0 || !S_ISREG(is.st_mode)) return std::nullopt;
  return base::hex(base::sha256(told(is))).substr(0, kDigits);
}

std::optional<std::string> tree_state(const std::string& path, size_t& budget) {
  Walk walk(path, budget);
  return walk.directory(path, "") ? walk.state() : std::nullopt;
}

}  // namespace payonce::mcp
