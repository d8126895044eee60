#include "pipeline/prompt_tokens.h"

#include <utility>

namespace payonce::pipeline {

PromptTokens::Known PromptTokens::find(std::span<const route::Link> chain, std::string_view model) {
  const std::lock_guard lock(mutex_);
  if (prompts_.size() == 0) return {};
  for (size_t i = chain.size(); i-- > 0;) {
    const auto* found = prompts_.find(key(chain[i].hash, model));
    if (found == nullptr) continue;
    return {.tokens = *found,
            .share = i + 1 == chain.size() ? 1.0 : static_cast<double>(chain[i].tokens) / chain.back().tokens};
  }
  return {};
}

void PromptTokens::keep(const base::Hash128& prompt, std::string_view model, std::vector<uint32_t> tokens) {
  if (tokens.empty() || tokens.size() > kMaxOfPrompt) return;
  const size_t weight = tokens.size();
  auto kept = std::make_shared<const std::vector<uint32_t>>(std::move(tokens));
  const std::lock_guard lock(mutex_);
  prompts_.insert(key(prompt, model), std::move(kept), weight);
}

}  // namespace payonce::pipeline
