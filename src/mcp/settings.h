// What `payonce mcp` is told.  Threads: a value.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace payonce::mcp {

struct ProxySettings {
  std::vector<std::string> command;   // the server and its arguments
  std::string directory;              // absolute: where both run
  std::string workspace;              // absolute; empty: none named
  std::map<std::string, bool> tools;  // --tool NAME=cache (true) or pass (false)
  std::optional<int64_t> ttl_s;       // --ttl
  bool verbose = false;
};

// How long results are kept without --ttl: where every input is checked at each hit, and where there is nothing to
// check.
inline constexpr int64_t kCheckedTtlS = 3600;
inline constexpr int64_t kUncheckedTtlS = 300;
// A longer line passes through in pieces and is not read.
inline constexpr size_t kMaxLineBytes = size_t{64} << 20;

}  // namespace payonce::mcp
