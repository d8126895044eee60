// The text of a file, unpacked, wherever it comes from.  Threads: blocking; one at a time for a log.
#pragma once

#include <string>

#include "history/log.h"

namespace payonce::history {

struct Opened {
  std::string_view text;    // lives in the log's mappings or arena
  uint64_t disk_bytes = 0;  // as it lies there
  bool mapped = false;      // by log.mappings.back()
  std::string damage;       // the file ends in the middle of its packed data; `text` is what came before
};

// Maps a regular file; copies standard input, pipes and small files. kNotFound, kTooLarge, …: the message for people.
base::Result<Opened> open_file(Log& log, const std::string& name, const Limits& limits);

}  // namespace payonce::history
