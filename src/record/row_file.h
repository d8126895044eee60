// The file that rows are appended to: plain lines, or zstd frames of lines when its name ends in .zst; bounded by
// moving it to FILE.1 when it is half full.  Threads: one (the recorder's).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/env.h"

namespace payonce::record {

class RowFile {
 public:
  // Cuts off the end of a write that a crash tore.
  static base::Result<std::unique_ptr<RowFile>> open(base::Env& env, std::string name, uint64_t max_bytes);

  base::Status append(std::string_view lines);  // whole ones; a failed write leaves nothing of itself
  bool is_packed() const { return packed_; }

 private:
  RowFile(base::Env& env, std::string name, uint64_t max_bytes);
  base::Status reopen();
  base::Status rotate();
  base::Result<uint64_t> whole_size() const;

  base::Env& env_;
  const std::string name_;
  const uint64_t max_bytes_;
  const bool packed_;
  std::unique_ptr<base::File> file_;
  uint64_t size_ = 0;
};

}  // namespace payonce::record
