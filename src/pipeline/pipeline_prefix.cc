// Pipeline: the way of a request through routing and the prefix layer.
#include "pipeline/pipeline.h"

namespace payonce::pipeline {

void Pipeline::arrange(Forward& forward, const base::Bytes& body) {
  const auto parsed = route_.plan(forward, body);
  if (prefix_ == nullptr || !forward.prepared) return;
  const prefix::Mode mode = PrefixStage::mode_for(forward);
  if (mode == prefix::Mode::kOff) return;
  forward.body = body;
  forward.observe_only = mode == prefix::Mode::kObserve;  // planned when the answer is out: nobody waits for it
  if (!forward.observe_only) forward.prefix = prefix_->plan(forward, body, parsed ? &*parsed : nullptr);
}

void Pipeline::settle_prefix(const Forward& forward, const Judged& judged) {
  explanations_.settled(forward.id, prefix_ != nullptr ? prefix_->settle(forward, judged) : nullptr, judged);
}

}  // namespace payonce::pipeline
