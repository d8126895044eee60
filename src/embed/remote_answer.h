// The body that an OpenAI-compatible /v1/embeddings answers with.  Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "embed/embedder.h"

namespace payonce::embed {

// One for each of `texts`, in their order whatever the answer's, cut to `dimensions`. The tokens of the whole request
// are shared out by the texts' length, since the answer has no other count. kCorrupt says what is missing or wrong.
base::Result<std::vector<Embedding>> read_embeddings_answer(std::string_view body,
                                                            const std::vector<std::string_view>& texts,
                                                            int32_t dimensions);
// What an answer that is none means for the texts that were sent; its message, if it has one, is quoted.
base::Error error_of_answer(int status, std::string_view body);

}  // namespace payonce::embed
