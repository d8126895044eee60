// The list of models, in a form that both vendors' clients read.  Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/model/model.h"

namespace payonce::engine {

// `created_s`: when it was loaded; `context_tokens`: longest prompt with its answer.
std::string model_json(const ModelInfo& model, int64_t created_s, int32_t context_tokens);
std::string models_json(const ModelInfo& model, int64_t created_s, int32_t context_tokens);
// "%20" is a blank; what is no escape stays as it is.
std::string percent_decoded(std::string_view text);

}  // namespace payonce::engine
