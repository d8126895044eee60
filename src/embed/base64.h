// Vectors as base64 of little-endian F32, as OpenAI's API writes them.  Threads: pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace payonce::embed {

std::string base64_of_floats(std::span<const float> numbers);
// kInvalid: not base64, or not of whole numbers.
base::Result<std::vector<float>> floats_of_base64(std::string_view text);

}  // namespace payonce::embed
