// What became of one call of the log when it was replayed.  Threads: values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "llm/response.h"
#include "prefix/optimizer.h"
#include "prompt_cache/simulator.h"

namespace payonce::audit {

enum class Took : uint8_t {
  kUpstream,   // nothing answered it: it would have gone on
  kExact,      // the answer to an equal request
  kCollapsed,  // the same, which was still on its way
  kSemantic,   // the answer to a question that means the same
  kNoBody,     // the log does not hold the request: nothing can be said but what was billed
};
std::string_view took_name(Took took);  // snake_case

struct Replayed {
  Took took = Took::kUpstream;
  size_t source = SIZE_MAX;  // of a hit: index of the call whose answer it gets
  float similarity = 0;      // of kSemantic
  bool asked_again = false;  // of kSemantic: asked upstream as well, for a label; billed
  bool same_answer = false;  // of kSemantic: the log's own answer says the same, as far as can be compared

  llm::Usage actual;  // as billed; where the log does not tell, as simulated
  bool actual_is_simulated = false;
  llm::Usage with;  // with Payonce in front

  prompt_cache::Billed base, sent;             // simulated: of the client's bytes, of what would have been sent
  bool simulated = false;                      // `base` holds something
  std::string_view provider;                   // id of the rules
  std::array<uint32_t, prefix::kActs> acts{};  // of the prefix layer
  double layer_ms = 0;                         // time that our layers took, measured here
  int64_t held_ms = 0;                         // it waited for another one's first write
  int64_t wait_ms = 0;                         // of kCollapsed: until the answer was there
};

}  // namespace payonce::audit
