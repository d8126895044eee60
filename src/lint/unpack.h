// Logs that were packed with zstd, as `record.file` writes them: frames one after another.  Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace payonce::lint {

// As far as it goes: the end of a frame that was torn off is left out. kInvalid: it does not begin as zstd does.
// kTooLarge: over `max_bytes` of text.
base::Result<std::string> unpack(std::string_view packed, uint64_t max_bytes);

}  // namespace payonce::lint
