// What the API needs of the engine and of the model's vocabulary, as functions, so that a test can script both.
// Threads: all of them any.  Lifetime: a port outlives the Api that uses it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"
#include "engine/model/vocab.h"
#include "engine/request.h"

namespace payonce::engine {

struct EnginePort {
  std::function<base::Result<RequestId>(Generate, std::shared_ptr<Sink>)> submit;  // as Engine::submit
  std::function<void(RequestId)> cancel;
};

struct VocabPort {
  // With BOS where the model asks for it; special tokens in the text are tokens.
  std::function<base::Result<std::vector<int32_t>>(std::string_view text)> tokenize;
  std::function<std::string(int32_t token, bool special)> piece;  // bytes, as Vocab::piece
  int32_t size = 0;
  int32_t bos = -1;
};

EnginePort port_of(Engine& engine);
VocabPort port_of(const Vocab& vocab);

}  // namespace payonce::engine
