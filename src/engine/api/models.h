// The list of models, in a form that both vendors' clients read.  Threads: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "engine/model/model.h"

namespace payonce::engine {

std::string model_json(const ModelInfo& model, const base::Clock& clock);
std::string models_json(const ModelInfo& model, const base::Clock& clock);
// "%20" is a blank; what is no escape stays as it is.
std::string percent_decoded(std::string_view text);

}  // namespace payonce::engine
