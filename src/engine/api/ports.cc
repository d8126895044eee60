#include "engine/api/ports.h"

#include <utility>

namespace payonce::engine {

EnginePort port_of(Engine& engine) {
  return {
      .submit = [&engine](Generate request,
                          std::shared_ptr<Sink> sink) { return engine.submit(std::move(request), std::move(sink)); },
      .cancel = [&engine](RequestId id) { engine.cancel(id); }};
}

VocabPort port_of(const Vocab& vocab) {
  return {.tokenize =
              [&vocab](std::string_view text) {
                return vocab.tokenize(text, /*add_special=*/true, /*parse_special=*/true);
              },
          .piece = [&vocab](int32_t token, bool special) { return vocab.piece(token, special); },
          .size = vocab.size(),
          .bos = vocab.bos()};
}

}  // namespace payonce::engine
