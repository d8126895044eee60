// Where strings of a log live that do not stand in its files as they are used: unescaped, or out of a CSV.
// From 1 MiB on its memory is an unlinked temporary file, so that the kernel may write it out and large logs fit.
// Threads: one at a time. Owner: Log; views live as long as it.  Throws std::bad_alloc when the disk is full.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "history/mapping.h"

namespace payonce::history {

class Arena {
 public:
  std::string_view keep(std::string_view text);
  char* room(size_t size);  // to be filled by the caller

 private:
  std::vector<Mapping> chunks_;
  size_t used_ = 0;  // of the last chunk
};

}  // namespace payonce::history
