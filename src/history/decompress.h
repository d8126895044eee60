// gzip, zstd and xz, told by their first bytes.  Threads: pure functions apart from the file.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "history/mapping.h"

namespace payonce::history {

enum class Packing : uint8_t { kNone, kGzip, kZstd, kXz };
Packing packing_of(std::string_view bytes);

// Writes what `bytes` unpacks to; several members or frames follow each other. Returns the bytes written.
// kCorrupt, kTooLarge (more than `limit_bytes`): what was unpacked before stands in the file; `written` counts it.
base::Status unpack(Packing packing, std::string_view bytes, const Descriptor& to, uint64_t limit_bytes,
                    uint64_t& written);

}  // namespace payonce::history
