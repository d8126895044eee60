// The write gate: after which positions of this prompt should the provider's cache be written?
//
// It keeps what it has had written (and so knows what this request will read), recognises what the prompt goes on
// from, asks the predictor how likely the end, the last few positions before it and the shared positions are used
// again, and takes the cheapest set of marks. What it reads is always among the marks: that costs nothing, keeps it
// alive, and makes the request read under either rule that providers have (any written prefix, or marked positions
// only). Later prompts are the labels: whether one passes through a position is seen even if it was never written.
//
// Threads: one at a time; the owner locks. A decision takes 2 to 5 µs, with 200 positions too.
// Owner: of its tables, all of fixed size (about 25 MB with the defaults). Time: the caller's, never going back.
// One gate serves prompts whose caches are one: chain hashes must differ by scope, provider and model.
// Deterministic: the same calls give the same decisions.
// Source: docs/prefix-gate.md.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "prefix/gate/choose_marks.h"
#include "prefix/gate/gap_histogram.h"
#include "prefix/gate/position_table.h"
#include "prefix/gate/reuse_predictor.h"
#include "prefix/gate/situation.h"

namespace payonce::prefix {

// A place in a prompt where a mark may stand. `chain` names everything before it.
struct Position {
  base::Hash128 chain;
  uint32_t tokens = 0;  // of the prompt up to here
};

// What the provider takes and asks for.
struct Terms {
  Prices prices;
  int64_t ttl_ms = 300'000;
  size_t max_marks = 4;
  uint32_t min_tokens = 0;  // a shorter prefix is not cached
};

struct Outline {
  std::span<const Position> positions;  // ascending
  uint32_t input_tokens = 0;            // of all of it, what lies behind the last position too
  int64_t now_ms = 0;                   // start of the request
  Hints hints;
  std::span<const uint32_t> given = {};  // indices that are marked whatever the gate says, ascending
  std::span<const uint32_t> edges = {};  // indices where one part of a prompt ends, as tools and system text do
};

struct Decision {
  std::vector<uint32_t> marks;  // indices into Outline::positions, ascending, at most max_marks
  uint32_t read_tokens = 0;     // expected to be read
  uint32_t shared_tokens = 0;   // that an earlier prompt had, whether they were written or not
  double reuse = 0;             // P(a later prompt within the TTL goes on from this one's end)
  uint64_t number = 0;          // of this prompt, for answered()
};

class WriteGate {
 public:
  struct Options {
    size_t positions = size_t{1} << 18;  // remembered, 64 bytes each
    size_t prompts = size_t{1} << 16;    // that wait for what follows them, about 100 bytes each
  };
  WriteGate() : WriteGate(Options{}) {}
  explicit WriteGate(const Options& options);

  // Decides, and takes the request as sent with these marks.
  Decision decide(const Outline& prompt, const Terms& terms);
  // The prompt's answer had so many tokens: helps to tell how much a next prompt adds. Optional.
  void answered(uint64_t number, uint32_t output_tokens);

  // Gaps between a prompt and the one that goes on from it; for choose_ttl().
  const GapHistogram& gaps() const { return gaps_; }

  // What was learned (not which positions are written), with a version and a checksum.
  std::string save() const;
  base::Status load(std::string_view bytes);  // kCorrupt: damaged or foreign; the gate has then learned nothing

 private:
  static constexpr uint32_t kNearEnd = 4;  // positions before the end where a prompt may still be left by the next

  // A prompt seen, waiting for the one that goes on from it.
  struct Seen {
    uint64_t number = 0;  // 0: none
    int64_t at_ms = 0;
    int64_t gap_ms = -1;
    int64_t output_tokens = -1;
    uint32_t input_tokens = 0;
    uint32_t end = 0;  // positions
    uint32_t turn = 1;
    bool followed = false;
    Situation situation;
  };
  // How this prompt hangs on earlier ones.
  struct Descended {
    uint32_t shared = 0;  // positions seen before
    uint32_t read = 0;    // positions up to the deepest that is written and live
    Descent descent = Descent::kNew;
    const Seen* from = nullptr;           // continued or edited
    std::vector<uint32_t> branch_points;  // positions (counted from 1) that more prompts passed than the next one
  };

  void forget();  // what was learned
  Seen* seen(uint64_t number);
  void settle(int64_t now_ms);
  Descended descend(const Outline& prompt, int64_t now_ms);
  void label(int64_t now_ms);
  Facts facts(const Outline& prompt, const Descended& descended, int64_t now_ms) const;
  double popularity(const KnownPosition& at, int64_t now_ms, const Terms& terms) const;
  double saving_of_a_token_found(const Prices& prices) const;
  int64_t claimed_ms(const Terms& terms) const;
  std::vector<Candidate> candidates(const Outline& prompt, const Terms& terms, const Descended& descended,
                                    double reuse, int64_t now_ms) const;
  void remember(const Outline& prompt, const Terms& terms, const Descended& descended, const Decision& decision,
                Seen entry);

  PositionTable table_;
  std::vector<Seen> prompts_;  // a ring by number
  uint64_t last_number_ = 0;
  int64_t last_ms_ = 0;
  int64_t lived_ms_ = 0;                           // from the first prompt on, earlier lives included
  std::array<uint64_t, kAgeBins> next_to_pass_{};  // per bin, the oldest prompt that has not lived through it
  std::vector<KnownPosition*> known_;              // this prompt's shared positions; scratch

  ReusePredictor predictor_;
  GapHistogram gaps_;
  std::array<double, kNearEnd + 1> left_{};  // how many positions before its end a prompt was left by the next
  struct Mean {
    double sum = 0, weight = 0;
  } go_on_;  // predicted reuse of prompts that went on from an earlier one
};

}  // namespace payonce::prefix
