#include "prefix/prompt/tokens.h"

#include <algorithm>

namespace payonce::prefix {

uint32_t estimate_tokens(std::string_view text) {
  const auto other = static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return c < 0; }));
  return static_cast<uint32_t>((text.size() - other + 3) / 4 + (other * 2 + 4) / 5);
}

}  // namespace payonce::prefix
