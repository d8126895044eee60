// Files of recorded LLM calls, read into one list of calls, whoever wrote them. docs/logs.md tells each format.
//
// Memory: files stay on disk and are mapped, and what was read is given back. What is held is the index, about 400
// bytes a call (the Call, its place in the table of duplicates, room to grow) and 40 bytes for each content block of
// a transcript. Bodies that a file holds as escaped strings or in CSV are copied to an unlinked temporary file.
//
// What is checked: every line is parsed in whole (RFC 8259), lines that are known noise too; none is passed over.
//
// Threads: read() is blocking and uses the caller's; a Log may be read from any.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "history/arena.h"
#include "history/call.h"
#include "history/mapping.h"

namespace payonce::history {

std::string_view format_name(Format format);  // "rows", "litellm", …, as --format spells it
std::optional<Format> format_named(std::string_view name);

struct File {
  std::string name;  // as given, or found in a folder; "-" is the standard input
  Format format = Format::kRows;
  uint64_t bytes = 0;     // unpacked
  uint64_t calls = 0;     // those that were not told before
  bool by_line = true;    // a JSON value a line; false: a list, a value over several lines, or CSV
  std::string_view text;  // unpacked
};

struct Skipped {
  uint32_t file = 0;
  uint64_t line = 0;  // from 1; 0: the file as a whole
  std::string why;
};

struct Duplicates {
  uint64_t lines = 0;    // further lines of an answer that a transcript writes in several
  uint64_t records = 0;  // the same call again: in another export, in a resumed session's file
  uint64_t files = 0;    // of equal bytes, which were not read again
  uint64_t total() const { return lines + records + files; }
};

struct Limits {
  size_t files = 1'000'000;
  size_t record_bytes = size_t{64} << 20;   // a line, a CSV row, an element of a list
  uint64_t file_bytes = uint64_t{1} << 40;  // after unpacking
  size_t skipped = 1000;                    // that are listed; all are counted
};

struct Options {
  std::optional<Format> format;  // of all files; else told by each file's content
  Limits limits;
  bool by_time = true;  // Log::calls; false: as they stand in the files
  // Bytes of the files as they lie on disk; called after every file and some MiB.
  std::function<void(uint64_t done, uint64_t total)> progress;
};

struct Log {
  std::vector<File> files;
  std::vector<Call> calls;  // by time, equal times as they were read; those without time first
  std::vector<std::vector<Piece>> conversations;
  std::vector<Skipped> skipped;                          // the first of them
  std::map<std::string, uint64_t> skipped_by_reason;     // all of them; the reason without its numbers
  std::map<std::string, uint64_t, std::less<>> ignored;  // lines that are no calls in their format, by type
  Duplicates duplicates;
  uint64_t bytes_read = 0;  // on disk
  bool unreadable = false;  // a path could not be read; `skipped` says which

  uint64_t skipped_count() const;

  // Own what the views point to.
  std::vector<Mapping> mappings;
  Arena arena;
};

// Files, folders (searched for log endings, also packed ones), globs, or "-". Never fails as a whole: what cannot be
// read stands in `skipped`.
Log read(const std::vector<std::string>& paths, const Options& options = {});
// The same for files that the caller has found, or opened: then `text` lives as long as the log.
struct Source {
  std::string name;
  std::optional<std::string_view> text = std::nullopt;  // unpacked; else it is opened by its name
};
Log read_sources(const std::vector<Source>& sources, const Options& options = {});

}  // namespace payonce::history
