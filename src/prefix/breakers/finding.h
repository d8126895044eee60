// What keeps requests from sharing a prefix: the kinds, as docs/breakers.md lists them, and one finding.
// Threads: values; the tables are constant.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace payonce::prefix {

enum class Kind : uint8_t {
  kClock,
  kRandomId,
  kWorkspaceState,
  kUserIdentity,
  kBillingHeader,
  kWhitespaceDrift,
  kToolOrder,
  kToolSet,
  kJsonKeyOrder,
  kHistoryRespelled,
  kHistoryEdited,
  kFrontTruncation,
  kReasoningStripped,
  kImageBytes,
  kToolChoiceFlip,
  kModelFlip,
  kThinkingFlip,
  kProviderFlip,
  kTtlExpired,
  kBreakpointOnVolatile,
  kLookbackExceeded,
  kBelowMinimum,
  kFanOut,
  kPrefixRate,
  kChunkOrder,
  kLateDocument,
  kCompaction,
  kPromptVariants,
};
inline constexpr size_t kKindCount = 28;

enum class FixClass : uint8_t { kCanonicalise, kReplay, kMove, kRoute, kAdvise };
std::string_view fix_class_name(FixClass fix_class);  // "canonicalise", …

// One row of the catalogue. All text is static.
struct KindInfo {
  Kind kind;
  std::string_view name;  // as in JSON and on the command line
  FixClass fix_class;
  bool safe;  // the fix may run by default: the model reads the same thing
  std::string_view what;
  std::string_view why;
  std::string_view fix;
  std::string_view example;
};
std::span<const KindInfo> all_kinds();  // in the order of Kind
const KindInfo& info(Kind kind);
std::optional<Kind> find_kind(std::string_view name);
// The table of docs/breakers.md.
std::string catalogue_markdown();

// One independent cause at one place (call site, path, slot), over all requests in which it was seen.
struct Finding {
  Kind kind = Kind::kClock;
  size_t request = 0;  // index of the first request in which it broke the prefix, from 0
  std::string path;    // "system[1].text", "tools[3]", "messages[4].content[0].input", "tool_choice", "" = the body
  size_t byte_offset = 0;     // in that request's body: first byte that differs, or that is meant
  size_t bytes = 0;           // of it, in the body; 0: something is missing there
  size_t occurrences = 0;     // requests
  uint64_t tokens = 0;        // that could not be read because of it alone, all occurrences
  double cost_usd = 0;        // of those tokens: what was paid less what reading would have cost
  std::string before, after;  // bounded excerpts of the text that differed; empty where there is none
  std::string detail;         // what was seen, in words

  const KindInfo& about() const { return info(kind); }
};

}  // namespace payonce::prefix
