// The token ids of prompts that engines told us, by prompt; a longer prompt finds those of its front. A
// conversation's next turn begins with (nearly) the tokens of the one before: templates that write an earlier turn
// otherwise make the estimate worse, and nothing else depends on it. Threads: all any; one lock.  Owner: RouteStage.
// Bounded: so many tokens of 4 bytes; the prompt that was not asked for longest goes first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/lru_map.h"
#include "route/prefix_memory.h"

namespace payonce::pipeline {

class PromptTokens {
 public:
  static constexpr size_t kMaxTokens = 4 << 20;    // 16 MB
  static constexpr size_t kMaxOfPrompt = 1 << 20;  // a longer one is not kept
  explicit PromptTokens(size_t max_tokens = kMaxTokens) : prompts_(max_tokens) {}

  struct Known {
    std::shared_ptr<const std::vector<uint32_t>> tokens;  // null: of no front of it
    double share = 0;                                     // of the prompt, by our estimates
  };
  // `model`: by whose tokenizer and template.
  Known find(std::span<const route::Link> chain, std::string_view model);
  void keep(const base::Hash128& prompt, std::string_view model, std::vector<uint32_t> tokens);

 private:
  base::Hash128 key(const base::Hash128& prompt, std::string_view model) const {
    return hash_.parts<2>({base::bytes_of(prompt), model});
  }

  const base::KeyedHash hash_;
  std::mutex mutex_;
  base::LruMap<std::shared_ptr<const std::vector<uint32_t>>> prompts_;  // guarded by mutex_; weight: tokens
};

}  // namespace payonce::pipeline
