// Whether anything has happened below a directory, by inotify(7), so that a tree need not be walked at each hit.
//
// Events are queued by the kernel before the call that caused them returns, and mark() reads the queue first: a
// change that was complete before mark() was called is seen. What inotify does not tell: changes through a memory map
// or another hard link, and those of other machines (network file systems are not watched). So a mark is relied upon
// for kTrusted_ms only.
//
// Threads: all any.  Errors: none; where it cannot watch it says so.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace payonce::agent {

class TreeWatch {
 public:
  static constexpr size_t kMaxRoots = 64;
  static constexpr size_t kMaxDirectories = 4096;  // below a root
  static constexpr int64_t kTrusted_ms = 30'000;
  TreeWatch();
  ~TreeWatch();
  TreeWatch(const TreeWatch&) = delete;
  TreeWatch& operator=(const TreeWatch&) = delete;

  // Directories that are left out, with all below them.
  using Skip = std::function<bool(const std::string& directory)>;
  // Two equal marks of a root: nothing has changed below it between them (.git: its refs and what lies in it
  // directly), but for what is skipped. nullopt: it cannot be watched; look yourself. A root's `skip` is asked for
  // when it is first watched, and again when a .gitignore has changed.
  std::optional<uint64_t> mark(const std::string& root, const std::function<Skip()>& skip = nullptr);

 private:
  struct Root {
    uint64_t device = 0, inode = 0;  // another directory may take the path
    uint64_t mark = 0;
    bool failed = false;  // too large, or no watches left
    Skip skip;            // null: nothing
    std::vector<int> watches;
  };
  struct Watched {
    std::string path;
    std::vector<std::string> roots;
  };
  void read_events();
  void add_tree(Root& root, const std::string& name, const std::string& path);
  bool add(Root& root, const std::string& name, const std::string& path);
  void drop(const std::string& name);
  void changed(const Watched& watched);

  std::mutex mutex_;  // guards all below
  int fd_ = -1;
  uint64_t next_mark_ = 1;
  std::map<std::string, Root> roots_;
  std::unordered_map<int, Watched> watched_;
};

}  // namespace payonce::agent
