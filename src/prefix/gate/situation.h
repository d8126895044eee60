// What is known of a prompt when it arrives, as the factors that the predictor learns. Only what came before: how the
// prompt hangs on earlier ones, its size, the gaps, and what the caller may tell of it.
// Threads: values.  Units: tokens, milliseconds.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace payonce::prefix {

enum class Descent : uint8_t {
  kNew,        // shares nothing with a prompt seen before
  kContinued,  // goes on where an earlier prompt ended
  kEdited,     // leaves an earlier prompt just before its end: another question on the same document, a retry
  kBranched,   // shares what many share, or leaves an earlier prompt far before its end
};

// What a gateway may know besides the prompt. Names are hashed into a few classes, so any string will do.
struct Hints {
  uint64_t agent = 0;                   // hash of the client program; 0: unknown
  uint64_t call_site = 0;               // hash of what names the place in the caller's code; 0: unknown
  std::optional<bool> open_tool_calls;  // the last message asks for, or answers, tool calls
};

struct Facts {
  Descent descent = Descent::kNew;
  uint32_t turn = 1;           // 1, or one more than the prompt that this one goes on from
  uint32_t tokens = 0;         // up to the last position
  uint32_t shared_tokens = 0;  // of them, seen before
  uint32_t passes = 0;         // earlier prompts through the deepest shared position
  // Of the prompt that this one continues or edits; negative: there is none, or it is not known.
  int64_t gap_ms = -1;           // since it came
  int64_t previous_gap_ms = -1;  // between it and the one before
  int64_t output_tokens = -1;    // of its answer
  int64_t message_tokens = -1;   // of this prompt beyond that prompt and its answer: what the user added
  Hints hints;
};

// At most one factor of each family, in the order in which the predictor lets them explain.
class Situation {
 public:
  static constexpr size_t kMaxFactors = 12;
  static constexpr size_t kFactorCount = 256;

  Situation() = default;
  explicit Situation(const Facts& facts);
  std::span<const uint8_t> factors() const { return {factors_.data(), count_}; }

  // What a factor multiplies the hazard by before anything is learned.
  static double prior(uint8_t factor);

 private:
  std::array<uint8_t, kMaxFactors> factors_{};
  uint8_t count_ = 0;
};

}  // namespace payonce::prefix
