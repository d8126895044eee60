// Whether one question's answer is right for another: the seam between the cache, which knows no language, and the
// verifier, which knows no cache.  Threads: any.  Owner: the instance; outlives the cache.
#pragma once

#include <memory>
#include <span>
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

// Another of the nearest questions, beside the cached one.
struct Beside {
  float cosine = 0;          // to the asked question
  bool same_answer = false;  // as the cached one
};

class PairJudge {
 public:
  virtual ~PairJudge() = default;
  virtual ReadQuestionPtr read(std::string_view text, const embed::Embedding& embedding) const = 0;
  // `cosine`: of the two embeddings; `beside`: the other ones of the 5 nearest.
  virtual Opinion compare(const ReadQuestion& cached, const ReadQuestion& asked, float cosine,
                          std::span<const Beside> beside) const = 0;
};

}  // namespace payonce::semantic
