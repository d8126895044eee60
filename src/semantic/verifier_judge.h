// The verifier as the semantic cache's judge.
#pragma once

#include <memory>

#include "semantic/pair_judge.h"

namespace payonce::semantic {

// With the model inside the program. `tokens`: the embedder is the one that it was trained with, so that token
// vectors mean to it what they should; they are left out otherwise.
std::unique_ptr<PairJudge> make_judge(bool tokens = true);

}  // namespace payonce::semantic
