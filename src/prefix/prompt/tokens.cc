#include "prefix/prompt/tokens.h"

#include <algorithm>

#include "base/ascii.h"

namespace payonce::prefix {

uint32_t estimate_tokens(std::string_view text) {
  const auto other =
      static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !base::is_ascii(c); }));
  return static_cast<uint32_t>((text.size() - other + 3) / 4 + (other * 2 + 4) / 5);
}

}  // namespace payonce::prefix
