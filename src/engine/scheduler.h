// Which tokens are computed next, for whom. Each step() makes one batch: a row for every decoding sequence, and
// prompt tokens of the others up to the chunk's limit (continuous batching, chunked prefill), so that a long prompt
// never keeps answers from going on.
//
// Shared in flight: a sequence announces the blocks of its prompt that it will compute. Another that needs the same
// block waits for it rather than compute it again, and takes it from the cache the step after. The announcer always
// runs; when it ends or is preempted, its announcements go, and whoever waited computes.
//
// When blocks run out, the youngest running sequence gives up its own and starts again later from what is still
// cached (recompute, or a load from the tier behind the pool). The oldest is never preempted, so something always
// advances.
//
// Threads: one (the engine's).  Owner: Engine.  Source: Kwon et al. 2023, section 4.5; Agrawal et al. 2024
// (Sarathi-Serve) for chunked prefill; Sheng et al. 2024 for fairness.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/metrics.h"
#include "engine/block_manager.h"
#include "engine/engine.h"
#include "engine/fair_queue.h"
#include "engine/sequence.h"
#include "engine/tier.h"

namespace payonce::engine {

class Scheduler {
 public:
  struct Parts {
    Executor& executor;
    const Vocab* vocab;  // null: no text, no end tokens
    Tier* tier;          // null: none
    const base::Clock& clock;
    base::Metrics& metrics;
    std::function<void(const EngineStats&)> on_stats;  // whenever they changed; may be empty
  };
  Scheduler(Parts parts, EngineOptions options);
  ~Scheduler();

  // What would fail in any case, said before it is queued: kInvalid. Threads: any.
  base::Status check(const Generate& request) const;
  void add(RequestId id, Generate request, std::shared_ptr<Sink> sink);
  void cancel(RequestId id);  // no further call of its sink
  // False: nothing could be done now (nothing to do, or all wait for the tier).
  bool step();
  void fail_all(const base::Error& error);
  EngineStats stats() const;
  const BlockManager& blocks() const { return blocks_; }

 private:
  struct Row {  // what one sequence computes in this step
    Sequence* sequence;
    int32_t first, count;  // tokens
    bool output;
  };
  struct Work {
    std::vector<Row> rows;
    int32_t prefill_tokens = 0, decodes = 0;
  };

  // Who runs (scheduler.cc).
  void set_up(Group& added);
  Group* find(RequestId id);
  void expire();
  void admit();
  bool start(Sequence& sequence);
  bool fits(Sequence& sequence);
  void stop(Sequence& sequence);  // gives up its blocks
  void end(Group& group);
  void fail(Group& group, base::Error error);
  void drop_ended();
  void receive_loads();

  // What a step computes (scheduler_batch.cc).
  Work choose();
  void add_decodes(Work& work);
  void add_prefills(Work& work);
  int32_t prefill_rows(Sequence& sequence, int32_t budget);
  void take_cached(Sequence& sequence);
  int32_t reusable(const Sequence& sequence) const;
  void credit(Sequence& sequence, int32_t computed_before);
  int32_t until_announced_by_other(Sequence& sequence, int32_t rows);
  void announce(Sequence& sequence);
  void withdraw(Sequence& sequence, int32_t end_block);
  bool make_room(Sequence& sequence, int32_t upto, const Work& work);
  Sequence* youngest_except(const Sequence& sequence, const Work& work) const;
  void preempt(Sequence& sequence);
  Batch batch_of(const Work& work) const;

  // What becomes of it (scheduler_output.cc).
  void account(const Work& work, int64_t started_us);
  void outputs(const Work& work, std::span<const float> logits);
  void prompt_outputs(const Row& row, std::span<const float> logits);
  void finish_prompt(Sequence& first, std::span<const float> logits);
  Sequence& fork(Sequence& parent, int32_t choice);
  void next_token(Sequence& sequence, std::span<const float> logits);
  void take_token(Sequence& sequence, int32_t token, std::span<const float> logits);
  void give(Sequence& sequence, bool last);
  void finish(Sequence& sequence, Finish why);
  void finish_group(Group& group);
  static EngineUsage usage_of(const Group& group);
  void deliver_best(Group& group);
  std::vector<int32_t> banned_tokens(const Sequence& sequence) const;
  bool ends(const Group& group, int32_t token) const;
  GeneratedToken describe(const Group& group, int32_t token, std::span<const float> logits) const;

  // Beam search (scheduler_beam.cc).
  void beam_row(Sequence& sequence, std::span<const float> logits);
  void beam_step(Group& group);
  void finish_beams(Group& group);

  std::span<const float> row_of(std::span<const float> logits, size_t index) const;
  // Stats and metrics first, then those who wait for an end: who asks after it sees nothing older.
  void publish();

  const Parts parts_;
  const EngineOptions options_;
  BlockManager blocks_;
  FairQueue queue_;
  std::vector<std::unique_ptr<Group>> groups_;  // in order of arrival, waiting and running
  std::unordered_map<uint64_t, Sequence*> sequences_;
  std::vector<Sequence*> running_;    // in order of their requests' arrival
  std::vector<Sequence*> preempted_;  // the same; go before what waits in the queue
  std::unordered_map<kv::BlockHash, uint64_t, kv::BlockHashHasher> announced_;  // block → who computes it
  std::vector<int32_t> end_tokens_;
  uint64_t next_sequence_ = 1;
  EngineStats counts_;
  struct Ended {
    std::shared_ptr<Sink> sink;
    tl::expected<EngineUsage, base::Error> how;
  };
  std::vector<Ended> ended_;  // to be told so
  struct Handles;
  std::unique_ptr<Handles> metrics_;
};

}  // namespace payonce::engine
