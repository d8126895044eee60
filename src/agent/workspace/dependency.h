// What an entry depends on beside its key, and how that looked when the entry was made.  Threads: values.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace payonce::agent {

enum class DependencyType : uint8_t {
  kFile,       // what is in the file at `name`
  kDirectory,  // the names below the directory `name`, recursively, without .git
  kGit,        // HEAD of the repository at `name`, and what is in its changed and untracked files
  kValue,      // an epoch or digest called `name`, which callers give
  kTool,       // the tool called `name`, as callers list it
};

std::string_view type_name(DependencyType type);  // as in the agent API: "file", "dir", "git", "value", "tool"
std::optional<DependencyType> type_of(std::string_view name);
inline bool is_on_disk(DependencyType type) { return type <= DependencyType::kGit; }

struct Dependency {
  DependencyType type = DependencyType::kFile;
  std::string name;   // absolute path without "." and "..", or a name
  std::string value;  // kValue, kTool: what the caller says that it is now
  bool same_thing(const Dependency& other) const { return type == other.type && name == other.name; }
};

// Whether any of them is on the disk of this machine.
inline bool looks_at_disk(std::span<const Dependency> deps) {
  return std::any_of(deps.begin(), deps.end(), [](const Dependency& dep) { return is_on_disk(dep.type); });
}

// A dependency and its state: two states are equal exactly when nothing has changed that matters. Printable.
struct Observed {
  Dependency dependency;  // without a value
  std::string state;
};

}  // namespace payonce::agent
