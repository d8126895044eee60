// Pipeline: the way of a request through routing and the prefix layer.
#include <exception>
#include <utility>

#include "base/log.h"
#include "pipeline/pipeline.h"

namespace payonce::pipeline {

std::optional<TokenQuestion> Pipeline::token_question(Forward& forward, const base::Bytes& body) {
  try {
    return route_.token_question(forward, body);
  } catch (const std::exception& error) {
    base::log_error("routing: {}; no tokens are asked for", error.what());
    return std::nullopt;
  }
}

void Pipeline::tokens_came(const TokenQuestion& question, std::vector<uint32_t> tokens) {
  route_.tokens_came(question, std::move(tokens));
}

void Pipeline::arrange(Forward& forward, const base::Bytes& body) {
  const auto read = route_.plan(forward, body);
  if (prefix_ == nullptr || !forward.prepared) return;
  const prefix::Mode mode = PrefixStage::mode_for(forward);
  if (mode == prefix::Mode::kOff) return;
  forward.body = body;
  forward.observe_only = mode == prefix::Mode::kObserve;  // planned when the answer is out: nobody waits for it
  if (!forward.observe_only) forward.prefix = prefix_->plan(forward, body, read ? &read->request : nullptr);
}

void Pipeline::settle_prefix(const Forward& forward, const Judged& judged) {
  explanations_.settled(forward.id, prefix_ != nullptr ? prefix_->settle(forward, judged) : nullptr, judged);
}

}  // namespace payonce::pipeline
