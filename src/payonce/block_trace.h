// Block traces: a JSON object a line, {"timestamp":ms, "input_length":tokens, "output_length":tokens,
// "hash_ids":[…]}, one id for each 512-token block, the last of which may be partial; equal ids mean equal content
// after an equal prefix. Read a line at a time.  Threads: one at a time. Source: kvcache-ai/Mooncake, FAST'25 release
// (Qin et al.).
#pragma once

#include <cstdint>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "prefix/gate/write_gate.h"

namespace payonce {

inline constexpr uint32_t kTraceBlockTokens = 512;

struct TraceRequest {
  int64_t timestamp_ms = 0;
  uint32_t input_tokens = 0;
  uint32_t output_tokens = 0;
  std::vector<prefix::Position> positions;  // after each whole block
};

class BlockTrace {
 public:
  static base::Result<BlockTrace> open(const std::string& path);
  // The next request; nothing at the end. Blank lines are passed over. kInvalid names the line and what is wrong.
  base::Result<std::optional<TraceRequest>> next();
  uint64_t line() const { return line_; }

 private:
  BlockTrace(std::string path, std::ifstream file) : path_(std::move(path)), file_(std::move(file)) {}

  std::string path_;
  std::ifstream file_;
  std::string text_;
  uint64_t line_ = 0;
};

}  // namespace payonce
