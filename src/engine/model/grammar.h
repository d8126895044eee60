// A grammar that the answer must follow (GBNF), by libllama's grammar engine, wrapped in this one place.
// Threads: one object one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/model/vocab.h"

namespace payonce::engine {

class Grammar {
 public:
  struct Source {
    std::string gbnf;
    bool lazy = false;
    std::vector<std::string> triggers;  // patterns, as RenderedChat::grammar_triggers
    std::string prefill;                // text that it reads before the answer, as RenderedChat::grammar_prefill
  };
  // kInvalid: the grammar cannot be parsed, is too large or too deep, a trigger is no regular expression.
  static base::Result<std::unique_ptr<Grammar>> make(const Vocab& vocab, const Source& source);
  virtual ~Grammar() = default;
  virtual std::unique_ptr<Grammar> clone() const = 0;  // a fork's own state
  // Sets the logits of tokens that may not come next to -infinity. logits: [vocab]. Some ms for a large vocabulary
  // where much is allowed: sample first, ask allows(), and mask only when it says no.
  virtual void mask(std::span<float> logits) = 0;
  virtual bool allows(int32_t token) = 0;
  // A token that is not allowed changes nothing.
  virtual void accept(int32_t token) = 0;
};

}  // namespace payonce::engine
