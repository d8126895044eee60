// What is done with finished vectors.  Threads: pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace payonce::embed {

// To length 1. kInternal: it has no direction (all zeros, or a number that is none).
base::Status normalize(std::span<float> vector);
// Its first `dimensions` numbers, of length 1 again. REQUIRES: it has as many.
base::Status truncate(std::vector<float>& vector, int32_t dimensions);

// As int8 with one scale: number = out * scale, the largest one is 127. Writes vector.size() bytes at `out`; 0 and
// zeros for a vector without a direction.
float quantise_int8(std::span<const float> vector, int8_t* out);

}  // namespace payonce::embed
