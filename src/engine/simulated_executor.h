// For tests: a model without weights whose "keys and values" are a chain of hashes. The state of position p is
// H(state of p - 1, token p), kept in the block that the table names; before anything is computed, the whole chain is
// read back through the block table and checked. So a block that was freed too early, shared wrongly, overwritten, or
// left out of a copy is found at once, and the next token, which depends on every token before it, would differ.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "engine/model/batch.h"
#include "kv/block_hash.h"

namespace payonce::engine {

class SimulatedExecutor final : public Executor {
 public:
  static constexpr int32_t kVocab = 37;

  explicit SimulatedExecutor(int32_t full_blocks, int32_t sliding_blocks = 0, int32_t window = 0)
      : window_(window),
        full_(static_cast<size_t>(full_blocks) * kv::kBlockTokens),
        sliding_(static_cast<size_t>(sliding_blocks) * kv::kBlockTokens) {}

  static uint64_t next_state(uint64_t state, int32_t token) {
    uint64_t x = (state ^ (static_cast<uint64_t>(token) + 0x9e3779b97f4a7c15)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 29)) * 0x94d049bb133111eb;
    return x ^ (x >> 32);
  }
  static float logit(uint64_t state, int32_t token) {
    return static_cast<float>(next_state(state, 1000 + token) >> 40) / static_cast<float>(1 << 22);
  }
  static uint64_t state_after(const std::vector<int32_t>& tokens) {
    uint64_t state = kStart;
    for (const int32_t token : tokens) state = next_state(state, token);
    return state;
  }
  // What a run that shares nothing with anyone gives.
  static std::vector<int32_t> greedy(std::vector<int32_t> prompt, int32_t count) {
    std::vector<int32_t> out;
    for (int32_t i = 0; i < count; ++i) {
      const uint64_t state = state_after(prompt);
      int32_t best = 0;
      for (int32_t token = 1; token < kVocab; ++token)
        if (logit(state, token) > logit(state, best)) best = token;
      out.push_back(best);
      prompt.push_back(best);
    }
    return out;
  }

  base::Result<std::span<const float>> compute(const Batch& batch) override {
    ++steps;
    std::vector<uint64_t> states(batch.tokens.size());
    for (size_t s = 0; s < batch.full.size(); ++s) {
      const SequenceRows* sliding = sliding_.empty() ? nullptr : &batch.sliding[s];
      if (!run(batch, batch.full[s], sliding, states)) return base::fail(base::Code::kInternal, fault);
    }
    logits_.clear();
    for (const int32_t row : batch.output_rows)
      for (int32_t token = 0; token < kVocab; ++token)
        logits_.push_back(logit(states[static_cast<size_t>(row)], token));
    computed_rows += batch.tokens.size();
    largest_batch = std::max(largest_batch, batch.tokens.size());
    return std::span<const float>(logits_);
  }
  int32_t vocab_size() const override { return kVocab; }
  size_t block_bytes(Pool pool) const override {
    return pool == Pool::kSliding && sliding_.empty() ? 0 : kv::kBlockTokens * sizeof(Slot);
  }
  void copy_block(Pool pool, int32_t from, int32_t to) override {
    std::memcpy(at(pool, to), at(pool, from), block_bytes(pool));
    ++copies;
  }
  void export_block(Pool pool, int32_t block, std::span<std::byte> out) const override {
    std::memcpy(out.data(), const_cast<SimulatedExecutor*>(this)->at(pool, block), block_bytes(pool));
  }
  void import_block(Pool pool, int32_t block, std::span<const std::byte> bytes) override {
    std::memcpy(at(pool, block), bytes.data(), block_bytes(pool));
  }

  std::string fault;  // what was found wrong; empty: nothing
  size_t computed_rows = 0, steps = 0, copies = 0, largest_batch = 0;

 private:
  static constexpr uint64_t kStart = 0x5eed;
  struct Slot {
    uint64_t state = 0;
    int32_t token = -1;
    int32_t position = -1;
  };
  Slot* at(Pool pool, int32_t block) {
    return (pool == Pool::kFull ? full_ : sliding_).data() + static_cast<size_t>(block) * kv::kBlockTokens;
  }
  Slot& slot(Pool pool, std::span<const int32_t> blocks, int32_t position) {
    return at(pool, blocks[static_cast<size_t>(position / kv::kBlockTokens)])[position % kv::kBlockTokens];
  }
  bool wrong(const std::string& what, int32_t position) {
    fault = what + " at position " + std::to_string(position);
    return false;
  }
  bool run(const Batch& batch, const SequenceRows& full, const SequenceRows* sliding, std::vector<uint64_t>& states) {
    uint64_t state = kStart;
    for (int32_t p = 0; p < full.first_position; ++p) {
      const Slot& held = slot(Pool::kFull, full.blocks, p);
      state = next_state(state, held.token);
      if (held.position != p || held.state != state) return wrong("a block that holds something else", p);
      if (sliding == nullptr || p < full.first_position - window_ + 1) continue;
      if (sliding->blocks[static_cast<size_t>(p / kv::kBlockTokens)] == kNoBlock)
        return wrong("no sliding block inside the window", p);
      if (slot(Pool::kSliding, sliding->blocks, p).state != state)
        return wrong("a sliding block that holds something else", p);
    }
    for (int32_t i = 0; i < full.rows; ++i) {
      const int32_t p = full.first_position + i;
      const int32_t token = batch.tokens[static_cast<size_t>(full.first_row + i)];
      state = next_state(state, token);
      slot(Pool::kFull, full.blocks, p) = {state, token, p};
      if (sliding != nullptr) slot(Pool::kSliding, sliding->blocks, p) = {state, token, p};
      states[static_cast<size_t>(full.first_row + i)] = state;
    }
    return true;
  }

  int32_t window_;
  std::vector<Slot> full_, sliding_;
  std::vector<float> logits_;
};

}  // namespace payonce::engine
