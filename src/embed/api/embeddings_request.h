// The body of POST /v1/embeddings, read.  Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace payonce::embed {

struct EmbeddingsRequest {
  std::vector<std::string> inputs;  // one at least, none empty
  int32_t dimensions = 0;           // 1 to the embedder's
  bool base64 = false;              // vectors as little-endian F32 in base64, which OpenAI's SDK for Python asks for
};

// As OpenAI has it, but for tokens as input: theirs are of another vocabulary. Any `model` is taken; the answer names
// the one there is. kInvalid: a message that begins with the field's name.
base::Result<EmbeddingsRequest> read_embeddings_request(std::string_view body, int32_t dimensions);

}  // namespace payonce::embed
