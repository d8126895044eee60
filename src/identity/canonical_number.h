// One spelling for each JSON number: 1, 1.0, 1e0 and 10E-1 are one value.  Threads: pure function.
#pragma once

#include <string>
#include <string_view>

namespace payonce::identity {

// `raw` is a valid JSON number. Digits without leading or trailing zeros, 'e', decimal exponent: "15e-1"; zero is
// "0". Exact: no value is rounded. An exponent of more than 15 digits keeps the number's own spelling.
void append_canonical_number(std::string& out, std::string_view raw);

}  // namespace payonce::identity
