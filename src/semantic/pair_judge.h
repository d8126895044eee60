// Whether one question's answer is right for another: the seam between the cache, which knows no language, and the
// verifier, which knows no cache.  Threads: any.  Owner: the instance; outlives the cache.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "embed/embedder.h"

namespace payonce::semantic {

// A question as the judge wants to see it again. Immutable.
class ReadQuestion {
 public:
  virtual ~ReadQuestion() = default;
  virtual size_t bytes() const = 0;  // of memory
};
using ReadQuestionPtr = std::shared_ptr<const ReadQuestion>;

struct Opinion {
  float logit = 0;              // log odds that they have one answer
  std::string_view conflict{};  // why they cannot (static text: "number", "negation", …), or empty
};

// What the look-up knows beside the two questions. NaN: not known.
struct Nearness {
  float cosine = 0;        // of the two embeddings
  float other_cosine = 0;  // of the asked question's and the nearest one's with another answer; NaN: none is near
  float votes = 1;         // how many of the nearest questions have the cached one's answer, itself included
};

class PairJudge {
 public:
  virtual ~PairJudge() = default;
  virtual ReadQuestionPtr read(std::string_view text, const embed::Embedding& embedding) const = 0;
  virtual Opinion compare(const ReadQuestion& cached, const ReadQuestion& asked, const Nearness& near) const = 0;
};

}  // namespace payonce::semantic
