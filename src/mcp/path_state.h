// The state of a file or of all below a directory, by what the file system says of it, without reading contents.
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace payonce::mcp {

// Digests. Nothing: it cannot be told (neither a file nor a directory, no permission, more than `budget` entries, a
// link to a directory elsewhere, or a change in the last moments, which a clock's tick could hide). Entries are taken
// off the budget.
std::optional<std::string> file_state(const std::string& path);
std::optional<std::string> tree_state(const std::string& path, size_t& budget);

}  // namespace payonce::mcp
