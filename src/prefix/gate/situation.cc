#include "prefix/gate/situation.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"

namespace payonce::prefix {
namespace {

// The families, each with its own range of factor numbers.
struct Family {
  uint32_t first = 0, size = 0;
  constexpr uint32_t end() const { return first + size; }
};
constexpr uint32_t kTurns = 6;
constexpr Family kTurn{0, 4 * kTurns};  // descent × turn
constexpr Family kLength{kTurn.end(), 20};
constexpr Family kGap{kLength.end(), 14};
constexpr Family kMessage{kGap.end(), 14};
constexpr Family kFresh{kMessage.end(), 7};
constexpr Family kPreviousGap{kFresh.end(), 14};
constexpr Family kOutput{kPreviousGap.end(), 9};
constexpr Family kPasses{kOutput.end(), 9};
constexpr Family kDepth{kPasses.end(), 8};
constexpr Family kAgent{kDepth.end(), 32};
constexpr Family kCallSite{kAgent.end(), 32};
constexpr Family kOpenCalls{kCallSite.end(), 2};
static_assert(kOpenCalls.end() <= Situation::kFactorCount);

constexpr uint32_t kUnitTokens = 512;  // lengths count in these, by powers of two

// 0 for 0, 1 for 1 and 2, 2 for 3 to 6, …: the whole part of log2(n + 1).
uint32_t magnitude(uint64_t n) { return static_cast<uint32_t>(std::bit_width(n + 1)) - 1; }

uint8_t factor(const Family& family, uint32_t index) {
  return static_cast<uint8_t>(family.first + std::min(index, family.size - 1));
}

// 0: unknown or negative.
uint32_t signed_magnitude(int64_t n) { return n < 0 ? 0 : 1 + magnitude(static_cast<uint64_t>(n)); }

uint32_t turn_index(Descent descent, uint32_t turn) {
  return static_cast<uint32_t>(descent) * kTurns + std::clamp(turn, 1u, kTurns) - 1;
}

}  // namespace

Situation::Situation(const Facts& facts) {
  const auto add = [&](const Family& family, uint32_t index) {
    PAYONCE_ASSERT(count_ < kMaxFactors);
    factors_[count_++] = factor(family, index);
  };
  const auto units = [](uint32_t tokens) { return std::max(1u, tokens / kUnitTokens); };
  const uint32_t later = facts.turn > 1 ? 1 : 0;
  add(kTurn, turn_index(facts.descent, facts.turn));
  add(kLength, later * 10 + std::min(9u, magnitude(units(facts.tokens) - 1)));
  if (facts.descent == Descent::kContinued || facts.descent == Descent::kEdited) {
    add(kGap, signed_magnitude(facts.gap_ms < 0 ? -1 : facts.gap_ms / 1000));
    add(kMessage, signed_magnitude(facts.message_tokens));
    add(kFresh, facts.tokens == 0 ? 0 : 6 * (facts.tokens - facts.shared_tokens) / facts.tokens);
    add(kPreviousGap, signed_magnitude(facts.previous_gap_ms < 0 ? -1 : facts.previous_gap_ms / 1000));
    add(kOutput, facts.output_tokens < 0 ? 8 : magnitude(static_cast<uint64_t>(facts.output_tokens)) / 2);
  } else if (facts.descent == Descent::kBranched) {
    add(kPasses, magnitude(facts.passes));
    add(kDepth, magnitude(units(facts.shared_tokens) - 1));
  }
  if (facts.hints.agent != 0) add(kAgent, static_cast<uint32_t>(facts.hints.agent % kAgent.size));
  if (facts.hints.call_site != 0) add(kCallSite, static_cast<uint32_t>(facts.hints.call_site % kCallSite.size));
  if (facts.hints.open_tool_calls) add(kOpenCalls, *facts.hints.open_tool_calls ? 1 : 0);
}

double Situation::prior(uint8_t factor) {
  if (factor >= kTurn.end()) return 1;
  // Who came back once comes back again more often than a newcomer; how much more, the traffic tells.
  switch (static_cast<Descent>(factor / kTurns)) {
    case Descent::kNew: return 0.6;
    case Descent::kBranched: return 1;
    case Descent::kContinued:
    case Descent::kEdited: return 2;
  }
  return 1;
}

}  // namespace payonce::prefix
