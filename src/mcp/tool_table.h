// What a server says of its tools, and what may be done with their results because of it.
//
// The rule, from the specification of tools (2025-06-18, 2025-11-25, 2026-07-28), where every hint has a default:
//   readOnlyHint    "does not modify its environment", default false
//   openWorldHint   "may interact with an open world of external entities", default true
//   idempotentHint  default false; says something only of tools that write, but an author who gives it to a tool that
//                   reads says that asking again changes nothing
// A result may be kept when the tool is read-only and either its world is closed, so that what it depends on can be
// seen or changes through this server alone, or it is idempotent. A tool that is not read-only changes something, and
// so may any tool that the server has not described.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "mcp/message.h"

namespace payonce::mcp {

enum class ToolUse : uint8_t {
  kCache,  // results are kept
  kRead,   // reads, but its results are not kept
  kWrite   // changes something, or nobody knows
};

struct Tool {
  ToolUse use = ToolUse::kWrite;
  bool by_arguments = false;  // equal arguments mean an equal result, as its author or the user says
  bool open_world = true;
  std::string tag;                   // digest of the whole definition: another one is another tool
  std::set<std::string> path_names;  // properties whose values are paths
};

class ToolTable {
 public:
  // `chosen`: by the user, --tool NAME=cache|pass.
  explicit ToolTable(std::map<std::string, bool> chosen) : chosen_(std::move(chosen)) {}

  // Adds a tools/list result. `is_first`: of a new listing, which replaces the old; whether it is complete, too, is
  // told by the absence of nextCursor.
  void add(const MessageLine& line, uint32_t result, bool is_first);
  void forget();  // all is unknown again
  bool is_complete() const { return is_complete_; }

  const Tool* find(std::string_view name) const;  // null: unknown

 private:
  Tool read(const MessageLine& line, uint32_t definition, const std::string& name) const;

  const std::map<std::string, bool> chosen_;
  std::map<std::string, Tool, std::less<>> tools_;
  bool is_complete_ = false;
};

// Whether a property or argument of this name holds a path: one of its words is "path", "file", "dir", …
bool is_path_name(std::string_view name);

}  // namespace payonce::mcp
