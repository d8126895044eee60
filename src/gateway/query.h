// The query of a request's target.  Threads: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace payonce::gateway {

// Value of `name`, percent-decoded.
std::optional<std::string> query_value(std::string_view query, std::string_view name);
// A whole number of at most 12 digits.
std::optional<int64_t> whole_number(const std::string& text);

}  // namespace payonce::gateway
