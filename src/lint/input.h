// Files of recorded calls (packed with zstd, too: calls.jsonl.zst), single requests and templates.  Threads: pure
// functions; blocking reads.
#pragma once

#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "lint/rows.h"

namespace payonce::lint {

struct File {
  std::string name;  // as given; "-" is the standard input
  std::unique_ptr<std::string> text;
  bool is_template = false;
  size_t rows = 0;
};

struct Skipped {
  std::string file;
  size_t line;  // 0: the file
  std::string why;
};

struct Input {
  std::vector<File> files;
  std::vector<Row> rows;  // as they stand in the files; they point into `files`
  std::vector<Skipped> skipped;
  bool unreadable = false;  // a file could not be opened
};

inline constexpr size_t kMaxFiles = 10'000;
inline constexpr size_t kMaxFileBytes = size_t{4} << 30;

// Paths may be files, folders (searched for .jsonl, .ndjson, .json, .log and template endings), globs, or "-".
Input read_input(const std::vector<std::string>& paths);
// What a file's text holds: a JSON line each, one JSON value (a request, a row, a list of them), or a template.
void read_text(Input& input, std::string name, std::string text);

}  // namespace payonce::lint
