// A request body as the provider's prompt cache would see it: the simulator's blocks, with what the provider compares
// (the order of members in tool schemas and tool inputs counts, white space between them does not).
// Threads: pure functions; what they return owns what it holds.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "llm/request.h"
#include "prompt_cache/simulator.h"

namespace payonce::audit {

struct SentPrompt {
  std::vector<prompt_cache::SimBlock> blocks;  // empty: no prompt (embeddings, another shape)
  std::string routing_key;
  base::Hash128 invalidates_all, invalidates_system, invalidates_messages;
  bool automatic = false;
  prompt_cache::Ttl automatic_ttl = prompt_cache::Ttl::kNone;
  uint64_t estimated_tokens = 0;
};

SentPrompt read_sent(const llm::Request& request, const prompt_cache::Provider& provider,
                     const base::KeyedHash& hash);
// What a simulation needs of the prompt; times, model, account and answer are the caller's. Views point to `prompt`.
prompt_cache::SimRequest sim_request(const SentPrompt& prompt);
// A recorded answer as it would stand in the next prompt, `tokens` long; empty where it holds more than one text.
std::vector<prompt_cache::SimBlock> answer_blocks(llm::Dialect dialect, std::string_view response, int64_t tokens,
                                                  const base::KeyedHash& hash);
// An answer that comes as events of a stream, not as one JSON value.
bool is_stream(std::string_view response);
// Scales the blocks so that they hold `tokens` together: estimates become what was billed.
void scale_to(SentPrompt& prompt, int64_t tokens);

}  // namespace payonce::audit
