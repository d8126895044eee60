// Which files are meant: folders and globs as lists of files.  Threads: pure functions; blocking.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace payonce::history {

// .jsonl, .ndjson, .json, .log, .csv, each also with .gz, .zst or .xz.
bool has_log_ending(std::string_view name);

struct FoundFiles {
  std::vector<std::string> names;                           // "-": the standard input
  std::vector<std::pair<std::string, std::string>> failed;  // path and why
};
// Folders are searched recursively for names that `wanted` takes, in the order of their names.
FoundFiles find_files(const std::vector<std::string>& paths, size_t limit,
                      const std::function<bool(std::string_view)>& wanted);

}  // namespace payonce::history
