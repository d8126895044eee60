// Files of recorded calls (packed with zstd, too: calls.jsonl.zst), single requests and templates.  Threads: pure
// functions; blocking reads.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "history/log.h"

namespace payonce::lint {

struct Template {
  std::string name;  // as given; "-" is the standard input
  std::string_view text;
};

struct Skipped {
  std::string file;
  size_t line;  // 0: the file
  std::string why;
};

struct Input {
  history::Log log;  // calls as they stand in the files
  std::vector<Template> templates;
  std::vector<Skipped> skipped;  // the first of them
  uint64_t skipped_count = 0;
  bool unreadable = false;  // a file could not be opened
  history::Log opened;      // owns the texts of all files

  void skip(std::string file, size_t line, std::string why);
};

inline constexpr size_t kMaxFiles = 10'000;

// Paths may be files, folders (searched for log endings, packed ones too, and template endings), globs, or "-".
Input read_input(const std::vector<std::string>& paths);
// The same of texts that outlive the input: a JSON line each, one JSON value (a request, a row, a list of them),
// another log that history knows, or a template.
Input read_texts(const std::vector<history::Source>& texts);

}  // namespace payonce::lint
