#include "agent/workspace/tree_watch.h"

#include <linux/magic.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <system_error>

namespace payonce::agent {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kEvents = IN_CREATE | IN_DELETE | IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO |
                             IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK;
constexpr decltype(statfs::f_type) kXfs = 0x58465342;

// Others may be changed by another machine, of which inotify knows nothing.
bool is_local(const std::string& path) {
  struct statfs stat{};
  if (::statfs(path.c_str(), &stat) != 0) return false;
  static constexpr std::array<decltype(stat.f_type), 5> kLocal = {EXT4_SUPER_MAGIC, kXfs, BTRFS_SUPER_MAGIC,
                                                                  TMPFS_MAGIC, OVERLAYFS_SUPER_MAGIC};
  return std::find(kLocal.begin(), kLocal.end(), stat.f_type) != kLocal.end();
}

bool says_what_is_ignored(std::string_view file) { return file == ".gitignore" || file == "exclude"; }

// Of .git only what says where HEAD is, what is staged and what is ignored: its objects say nothing new.
bool is_idle(const fs::path& directory) {
  const fs::path parent = directory.parent_path();
  return parent.filename() == ".git" && directory.filename() != "refs" && directory.filename() != "info";
}

}  // namespace

TreeWatch::TreeWatch() : fd_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {}

TreeWatch::~TreeWatch() {
  if (fd_ >= 0) ::close(fd_);
}

std::optional<uint64_t> TreeWatch::mark(const std::string& root, const std::function<Skip()>& skip) {
  const std::lock_guard lock(mutex_);
  if (fd_ < 0) return std::nullopt;
  struct stat stat{};
  if (::lstat(root.c_str(), &stat) != 0 || !S_ISDIR(stat.st_mode)) {
    drop(root);
    return std::nullopt;
  }
  read_events();
  auto found = roots_.find(root);
  if (found != roots_.end() && (found->second.device != stat.st_dev || found->second.inode != stat.st_ino)) {
    drop(root);
    found = roots_.end();
  }
  if (found == roots_.end()) {
    if (roots_.size() == kMaxRoots || !is_local(root)) return std::nullopt;
    found = roots_.emplace(root, Root{.device = stat.st_dev, .inode = stat.st_ino, .mark = next_mark_++}).first;
    if (skip) found->second.skip = skip();
    add_tree(found->second, root, root);
  }
  if (found->second.failed) return std::nullopt;
  return found->second.mark;
}

// Top down: what is made in a directory after its watch stands is told by an event.
void TreeWatch::add_tree(Root& root, const std::string& name, const std::string& path) {
  if (!add(root, name, path)) return;
  std::error_code error;
  fs::recursive_directory_iterator walk(path, fs::directory_options::skip_permission_denied, error);
  for (const fs::recursive_directory_iterator end; !error && walk != end; walk.increment(error)) {
    std::error_code ignored;
    if (walk->symlink_status(ignored).type() != fs::file_type::directory) continue;
    if (is_idle(walk->path()) || (root.skip && root.skip(walk->path().string())))
      walk.disable_recursion_pending();
    else if (!add(root, name, walk->path().string()))
      return;
  }
}

bool TreeWatch::add(Root& root, const std::string& name, const std::string& path) {
  const int watch = root.watches.size() < kMaxDirectories ? ::inotify_add_watch(fd_, path.c_str(), kEvents) : -1;
  if (watch < 0) {
    root.failed = fs::exists(path) || root.failed;  // gone meanwhile is no failure
    return !root.failed;
  }
  Watched& watched = watched_[watch];
  watched.path = path;
  if (std::find(watched.roots.begin(), watched.roots.end(), name) == watched.roots.end()) {
    watched.roots.push_back(name);
    root.watches.push_back(watch);
  }
  return true;
}

void TreeWatch::drop(const std::string& name) {
  const auto found = roots_.find(name);
  if (found == roots_.end()) return;
  for (const int watch : found->second.watches) {
    const auto at = watched_.find(watch);
    if (at == watched_.end()) continue;
    std::erase(at->second.roots, name);
    if (!at->second.roots.empty()) continue;
    ::inotify_rm_watch(fd_, watch);
    watched_.erase(at);
  }
  roots_.erase(found);
}

void TreeWatch::changed(const Watched& watched) {
  for (const std::string& name : watched.roots)
    if (const auto root = roots_.find(name); root != roots_.end()) root->second.mark = next_mark_++;
}

void TreeWatch::read_events() {
  alignas(inotify_event) std::array<char, 16 * 1024> buffer;
  while (true) {
    const ssize_t got = ::read(fd_, buffer.data(), buffer.size());
    if (got <= 0) return;
    for (ssize_t at = 0; at < got;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      if ((event->mask & IN_Q_OVERFLOW) != 0)
        for (auto& [name, root] : roots_) root.mark = next_mark_++;
      const auto found = watched_.find(event->wd);
      if (found == watched_.end()) continue;
      const Watched watched = found->second;  // a copy: adding watches moves the map
      changed(watched);
      if (event->len > 0 && says_what_is_ignored(event->name)) {
        for (const std::string& name : watched.roots) drop(name);
        continue;
      }
      if ((event->mask & IN_IGNORED) != 0) {
        watched_.erase(found);
        continue;
      }
      if ((event->mask & IN_ISDIR) == 0 || (event->mask & (IN_CREATE | IN_MOVED_TO)) == 0) continue;
      const fs::path path = fs::path(watched.path) / event->name;
      for (const std::string& name : watched.roots)
        if (const auto root = roots_.find(name);
            root != roots_.end() && !is_idle(path) && !(root->second.skip && root->second.skip(path.string())))
          add_tree(root->second, name, path.string());
    }
  }
}

}  // namespace payonce::agent
