#include "agent/kind.h"

namespace payonce::agent {

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::kLlm: return "llm";
    case Kind::kPlan: return "plan";
    case Kind::kTools: return "tools";
    case Kind::kToolResult: return "tool_result";
    case Kind::kSubagent: return "subagent";
    case Kind::kRetrieval: return "retrieval";
    case Kind::kCompaction: return "compaction";
  }
  return "?";
}

std::optional<Kind> kind_of(std::string_view name) {
  for (const Kind kind : kKinds)
    if (kind_name(kind) == name) return kind;
  return std::nullopt;
}

}  // namespace payonce::agent
