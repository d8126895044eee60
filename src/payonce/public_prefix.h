// What all tenants may share because the operator said so (--public-prefix).  Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/api/ports.h"
#include "engine/model/chat_template.h"

namespace payonce {

// The tokens that any conversation beginning with this system prompt begins with: two conversations that differ in
// the user's first letter are rendered, and what they have in common is taken.
base::Result<std::vector<int32_t>> public_prefix_tokens(const std::string& system, const engine::ChatTemplate& chat,
                                                        const engine::VocabPort& vocab);

}  // namespace payonce
