// For tests: prompts from short words. "s:5000" is a block of 5,000 tokens whose content is "s".
#pragma once

#include <charconv>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "prompt_cache/simulator.h"

namespace payonce::prompt_cache {

struct SimWord {
  std::string_view word;  // name:tokens
  Level level = Level::kMessages;
  Ttl mark = Ttl::kNone;
  bool message_end = true;
  bool markable = true;
};

inline base::Hash128 content_hash(std::string_view content) {
  const base::Digest digest = base::sha256(content);
  base::Hash128 out;
  for (size_t i = 0; i < 8; ++i) {
    out.low = out.low << 8U | digest[i];
    out.high = out.high << 8U | digest[i + 8];
  }
  return out;
}

inline SimBlock block_of(const SimWord& from) {
  const size_t colon = from.word.find(':');
  PAYONCE_ASSERT(colon != std::string_view::npos);
  SimBlock out;
  std::from_chars(from.word.data() + colon + 1, from.word.data() + from.word.size(), out.tokens);
  out.hash = content_hash(from.word);
  out.level = from.level;
  out.mark = from.mark;
  out.message_end = from.message_end;
  out.markable = from.markable;
  return out;
}

// One provider and its requests; a request is answered at once unless `request` says otherwise.
class Simulation {
 public:
  explicit Simulation(std::string_view provider, std::string_view model)
      : simulator(*Providers::built_in().find(provider)), model_(model) {}

  base::Result<Billed> try_send(int64_t at_s, const std::vector<SimBlock>& blocks) {
    request.at_ms = at_s * 1000;
    request.readable_ms = request.at_ms + answer_ms;
    request.done_ms = request.readable_ms;
    request.model = model_;
    request.blocks = blocks;
    return simulator.run(request);
  }
  Billed send(int64_t at_s, const std::vector<SimBlock>& blocks) {
    auto billed = try_send(at_s, blocks);
    PAYONCE_ASSERT(billed);
    return *billed;
  }
  Billed send(int64_t at_s, std::initializer_list<SimWord> words) {
    std::vector<SimBlock> blocks;
    for (const SimWord& word : words) blocks.push_back(block_of(word));
    return send(at_s, blocks);
  }

  Simulator simulator;
  SimRequest request;  // what is not of the single prompt
  int64_t answer_ms = 0;

 private:
  std::string model_;
};

}  // namespace payonce::prompt_cache
