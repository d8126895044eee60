// The names below a directory, and what Git says of a repository.
// Threads: pure functions, which read the disk.
// Errors: kTooLarge: more than kMaxNames; kUnavailable: not readable.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "agent/workspace/file_state.h"
#include "base/result.h"

namespace payonce::agent {

inline constexpr size_t kMaxNames = 200'000;

// "absent", or "dir:" and a digest of the names and kinds of all below `path`, without .git; links are not followed.
base::Result<std::string> names_state(const std::string& path);

// "absent" where `path` lies in no repository, else "git:", HEAD's commit and a digest of the changed and untracked
// files' names and contents; ignored files do not count.
base::Result<std::string> git_state(const std::string& path, FileStates& files);
// Says of directories whether the repository at `path` ignores all that is in them.
std::function<bool(const std::string&)> git_ignores(const std::string& path);

}  // namespace payonce::agent
