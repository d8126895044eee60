// What an entry of the agent cache is.  Threads: values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace payonce::agent {

enum class Kind : uint8_t {
  kLlm,         // an answer of a model
  kPlan,        // a plan that succeeded
  kTools,       // which tools were chosen for a task
  kToolResult,  // what a read-only tool gave
  kSubagent,    // the report of a whole sub-agent's run
  kRetrieval,   // what a knowledge base gave
  kCompaction,  // the summary of a conversation
};
inline constexpr std::array kKinds{Kind::kLlm,      Kind::kPlan,      Kind::kTools,     Kind::kToolResult,
                                   Kind::kSubagent, Kind::kRetrieval, Kind::kCompaction};

std::string_view kind_name(Kind kind);  // as in the agent API and in keys
std::optional<Kind> kind_of(std::string_view name);
// Whether a task in other words may get the same entry; of the other kinds a near match would be a wrong one.
inline bool may_match_by_meaning(Kind kind) {
  return kind == Kind::kPlan || kind == Kind::kSubagent || kind == Kind::kRetrieval;
}

// Whether manners may be left out of a part that says what is wanted; other kinds are read word by word.
inline bool may_name_intent(Kind kind) { return kind == Kind::kTools || kind == Kind::kPlan; }

}  // namespace payonce::agent
