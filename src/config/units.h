// Sizes and durations as the operator writes and reads them: "256MiB", "15m".  Threads: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace payonce::config {

// As parse_duration_s (settings.h), for keys that make sense below a second: "100ms" as well.
base::Result<int64_t> parse_duration_ms(std::string_view text);

// In the largest unit that divides it: what is written reads back as the same number.
std::string format_size(uint64_t bytes);
std::string format_duration_ms(int64_t ms);

}  // namespace payonce::config
