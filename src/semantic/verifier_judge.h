// The verifier as the semantic cache's judge.
#pragma once

#include <memory>

#include "semantic/pair_judge.h"

namespace payonce::semantic {

std::unique_ptr<PairJudge> make_judge();  // with the model inside the program

}  // namespace payonce::semantic
