// What an engine is asked to learn which tokens a request's prompt is: `POST /tokenize`, as vLLM and SGLang offer it.
//
// Both apply their own chat template and tokenizer, so the answer is what the engine will compute, and no tokenizer
// of ours is needed (docs/decisions/0008-kv-events.md).  Threads: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "llm/request.h"
#include "route/routes.h"

namespace payonce::pipeline {

struct TokenQuestion {
  route::UpstreamPtr upstream;
  std::string body;
  base::Hash128 prompt;  // whose tokens
  std::string model;
};

// The body to send. Nothing where the tokens would not say which blocks serve the request: images and sounds, a salt,
// a prompt that is not one text, dialects that /tokenize does not know.
std::optional<std::string> tokenize_body(const llm::Request& request);

// The token ids in an answer ("tokens"); nothing where there are none.
std::optional<std::vector<uint32_t>> tokens_in(std::string_view answer);

}  // namespace payonce::pipeline
