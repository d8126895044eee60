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

}  // namespace payonce::embed
