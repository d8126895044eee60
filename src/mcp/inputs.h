// What a call of a tool reads, as far as its arguments tell: files and directories, and what state they are in.
//
// Every string in the arguments that names something here becomes an input. One that is meant as a path and names
// nothing that can be looked at (relative to a folder that only the server knows, a device, a tree that is too large)
// leaves the call without a check, and it is then not answered from the cache.
// Threads: pure functions; they look at the file system.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "mcp/message.h"

namespace payonce::mcp {

enum class InputKind : uint8_t { kFile, kDirectory, kGit, kAbsent };

struct Input {
  InputKind kind = InputKind::kFile;
  std::string path;   // absolute
  std::string state;  // equal as long as nothing in it was written, renamed, added or removed
  bool operator==(const Input&) const = default;
};

struct Inputs {
  std::vector<Input> found;
  bool are_named = false;  // one of them is there because the call means it, not because a word happens to be a name
  std::string unseen;      // why not all of them can be checked; empty: all can
};

inline constexpr size_t kMaxInputs = 64;
inline constexpr size_t kMaxTreeEntries = 10'000;  // of all directories of a call together

class InputFinder {
 public:
  // `folders`: absolute, what relative paths may be relative to, the working directory first. `workspace`: what every
  // call depends on beside its arguments; empty: nothing.
  InputFinder(std::vector<std::string> folders, std::string workspace)
      : folders_(std::move(folders)), workspace_(std::move(workspace)) {}

  // The client's roots, from its answer to roots/list: folders, too.
  void roots_are(const MessageLine& line, uint32_t result);
  Inputs find(const MessageLine& line, uint32_t arguments, const std::set<std::string>& path_names) const;
  // The state of the same inputs now; whether it is still the same.
  static bool are_unchanged(const Inputs& inputs);

 private:
  struct Search;
  enum class Reading : uint8_t { kWord, kLooksLikeAPath, kPath };  // of a string among the arguments
  void visit(Search& search, uint32_t node, const std::string& name) const;
  void look_at(Search& search, const std::string& value, Reading reading) const;
  bool add(Search& search, const std::string& path, Reading reading) const;

  std::vector<std::string> folders_, roots_;
  std::string workspace_;
};

// As the "deps" of a lookup: what the instance checks itself, and beside it the state, which also tells of what the
// instance passes over (times, modes, the contents below a directory).
std::string as_deps(const Inputs& inputs);
// As a part of the key: a call that has other inputs than before, such as a file that hides another, is another call.
std::string as_part(const Inputs& inputs);

}  // namespace payonce::mcp
