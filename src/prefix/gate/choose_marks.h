// Which positions of a prompt to mark, so that the expected cost of its input is least.
//
// A request that marks the positions s1 < s2 < … < sk writes everything between what it reads and sk, at w instead of
// 1 a token, whether k is 1 or 4: inner marks cost nothing. A later request that shares the prompt as far as D reads
// up to the deepest mark at or before D. With p(s) = P(a later request within the TTL shares at least s), which never
// rises with s, the expected saving of a set is
//     saving · Σ p(s_i) · (tokens(s_i) − tokens(s_{i−1}))  −  (w − 1) · max(0, tokens(sk) − tokens(read)),
// a sum over neighbours, so that a table over (last mark, marks used) finds the best set: n² · marks steps, exactly.
//
// `saving` is what a token that is found costs less than one that is not: between 1 − r (the later request would have
// paid 1) and w − r (it would have written the token itself). Threads: pure functions.  Units: tokens; factors
// relative to an uncached input token. Source: Anthropic's and OpenAI's pages on prompt caching (2026-08, 2026-09):
// at most 4 breakpoints, reads at written positions only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace payonce::prefix {

struct Prices {
  double write = 1.25;  // w: a token that is written
  double read = 0.1;    // r: a token that is read
};

struct Candidate {
  uint32_t index = 0;     // the caller's name of the position
  uint32_t tokens = 0;    // of the prompt up to it
  double reuse = 0;       // p: P(a later request within the TTL shares the prompt up to here)
  bool required = false;  // must be among the marks: where this very request reads
};

struct MarkOptions {
  Prices prices;
  double saving = 0.9;       // of a token found, see above
  uint32_t read_tokens = 0;  // of this prompt, already written and live
  size_t max_marks = 4;
};

// `candidates` ascend in tokens; a `reuse` that rises with the depth is levelled first (who shares the deeper
// position shares the shallower). At most one is required. The result ascends, has at most max_marks entries and none
// when marking does not pay.
struct Choice {
  std::vector<uint32_t> marks;  // Candidate::index
  double saving = 0;            // expected, in tokens' worth; never below that of the required mark alone
};
Choice choose_marks(std::span<const Candidate> candidates, const MarkOptions& options);

}  // namespace payonce::prefix
