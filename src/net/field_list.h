// Header fields that hold lists: items separated by commas, with optional white space (RFC 9110 5.6.1, 5.6.3).
// Threads: pure functions.
#pragma once

#include <string_view>

#include "base/ascii.h"

namespace payonce::net {

// Without the spaces and tabs around it.
inline std::string_view trim(std::string_view text) { return base::trimmed(text, " \t"); }

// Whether is(item) for an item, trimmed; empty ones are passed over, and those behind it are not asked about.
template <typename Is>
bool any_item(std::string_view list, Is&& is) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    const std::string_view item = trim(list.substr(0, comma));
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    if (!item.empty() && is(item)) return true;
  }
  return false;
}

inline bool has_item(std::string_view list, std::string_view wanted) {
  return any_item(list, [&](std::string_view item) { return item == wanted; });
}

template <typename Visit>
void for_each_item(std::string_view list, Visit&& visit) {
  (void)any_item(list, [&](std::string_view item) {
    visit(item);
    return false;
  });
}

}  // namespace payonce::net
