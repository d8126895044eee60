// Bounds of the chunked coding (RFC 9112 7.1), as requests and answers are read.
#pragma once

#include <cstddef>

namespace payonce::net {

inline constexpr size_t kMaxSizeDigits = 15;  // hexadecimal: 2^60, far over any limit and far under an overflow
inline constexpr size_t kMaxTrailerBytes = 16 * 1024;

}  // namespace payonce::net
