// Where tests find files of the source tree that they were built from. Thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace payonce::source_tree {

// "docs/configuration.md" → its absolute path.
std::string path(std::string_view name);

}  // namespace payonce::source_tree
