// Scheduler: what one step computes.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "engine/scheduler.h"

namespace payonce::engine {
namespace {

// While others decode, a chunk is so much smaller, so that a step stays short and answers go on smoothly.
constexpr int32_t kChunkDivisorBesideDecodes = 4;
// Prompt tokens whose own logprobs are asked for need a row of logits each: memory, not time, bounds their chunk.
constexpr int32_t kMaxLogitRows = 64;

}  // namespace

// The last token is always computed: its logits are what the answer begins with.
int32_t Scheduler::reusable(const Sequence& sequence) const {
  const Group& group = *sequence.group;
  if (group.request.prompt_logprobs >= 0 && !group.prompt_done) return 0;
  return static_cast<int32_t>(sequence.tokens.size()) - 1;
}

// Counts what the cache gave. What the sequence itself had computed before a preemption is no hit.
void Scheduler::credit(Sequence& sequence, int32_t computed_before) {
  const int32_t known = std::max(computed_before, sequence.seen_tokens);
  if (!sequence.group->prompt_done) sequence.group->cached_tokens += std::max(0, sequence.table.computed - known);
  sequence.seen_tokens = std::max(sequence.seen_tokens, sequence.table.computed);
}

void Scheduler::take_cached(Sequence& sequence) {
  if (sequence.table.computed % kBlockTokens != 0) return;
  const int32_t before = sequence.table.computed;
  if (blocks_.extend_from_cache(sequence.table, sequence.tokens, reusable(sequence)) == 0) return;
  credit(sequence, before);
  withdraw(sequence, sequence.table.computed / kBlockTokens);
}

// ---- shared in flight ----------------------------------------------------------------------------

void Scheduler::announce(Sequence& sequence) {
  const int32_t end = reusable(sequence) / kBlockTokens;
  for (int32_t i = sequence.table.computed / kBlockTokens; i < end; ++i)
    announced_.try_emplace(blocks_.chain_hash(sequence.table, sequence.tokens, static_cast<size_t>(i)), sequence.id);
  sequence.announced_end = std::max(sequence.announced_end, end);
}

// Takes back what was announced, up to `end_block`: it is computed, or will not be.
void Scheduler::withdraw(Sequence& sequence, int32_t end_block) {
  if (sequence.announced_end == 0) return;
  const int32_t end = std::min(end_block, sequence.announced_end);
  for (int32_t i = sequence.withdrawn_end; i < end; ++i) {
    const auto it = announced_.find(sequence.table.chain[static_cast<size_t>(i)]);
    if (it != announced_.end() && it->second == sequence.id) announced_.erase(it);
  }
  sequence.withdrawn_end = std::max(sequence.withdrawn_end, end);
  if (end_block == INT32_MAX) sequence.announced_end = sequence.withdrawn_end = 0;
}

// Rows of `rows` that may be computed before a block comes that another sequence computes already.
int32_t Scheduler::until_announced_by_other(Sequence& sequence, int32_t rows) {
  const int32_t begin = sequence.table.computed;
  const int32_t end_block = std::min(begin + rows, reusable(sequence)) / kBlockTokens;
  for (int32_t i = begin / kBlockTokens; i < end_block; ++i) {
    const auto it = announced_.find(blocks_.chain_hash(sequence.table, sequence.tokens, static_cast<size_t>(i)));
    if (it != announced_.end() && it->second != sequence.id) return std::max(0, i * kBlockTokens - begin);
  }
  return rows;
}

// ---- room ----------------------------------------------------------------------------------------

// Of those that hold blocks and are not in this step's work yet.
Sequence* Scheduler::youngest_except(const Sequence& sequence, const Work& work) const {
  for (auto it = running_.rbegin(); it != running_.rend(); ++it) {
    if (*it == &sequence) return nullptr;  // only younger ones give way
    const auto same = [&](const Row& row) { return row.sequence == *it; };
    if (!(*it)->table.full.empty() && std::ranges::none_of(work.rows, same)) return *it;
  }
  return nullptr;
}

void Scheduler::preempt(Sequence& sequence) {
  stop(sequence);
  ++counts_.preemptions;
  const auto later = std::find_if(preempted_.begin(), preempted_.end(),
                                  [&](const Sequence* other) { return other->group->id > sequence.group->id; });
  preempted_.insert(later, &sequence);
}

bool Scheduler::make_room(Sequence& sequence, int32_t upto, const Work& work) {
  while (!blocks_.reserve(sequence.table, upto)) {
    Sequence* victim = youngest_except(sequence, work);
    if (victim == nullptr) return false;
    preempt(*victim);
  }
  return true;
}

// ---- the batch -----------------------------------------------------------------------------------

Scheduler::Work Scheduler::choose() {
  while (true) {
    Work work;
    add_decodes(work);
    add_prefills(work);
    if (!work.rows.empty() || running_.empty() || running_.front()->loading) return work;
    // The oldest cannot go on. A beam whose row is computed gives its blocks to those that it waits for; if it waits
    // for a block that a younger one cannot compute for want of room, that one gives way. Else it will never fit.
    if (!running_.front()->continuations.empty()) {
      preempt(*running_.front());
      admit();
      continue;
    }
    if (running_.front()->waits_for_announced && running_.size() > 1) {
      preempt(*running_.back());
      continue;
    }
    fail(
        *running_.front()->group,
        {base::Code::kExhausted, "the KV pool is too small for this request even alone; give it more (--kv-memory)"});
  }
}

void Scheduler::add_decodes(Work& work) {
  const std::vector<Sequence*> running = running_;  // preemption changes the list
  for (Sequence* sequence : running) {
    if (!sequence->running || sequence->loading || sequence->missing() != 1) continue;
    if (!sequence->continuations.empty()) continue;  // its beam waits for the others
    if (make_room(*sequence, sequence->table.computed + 1, work)) {
      work.rows.push_back({sequence, sequence->table.computed, 1, true});
      ++work.decodes;
    } else if (running_.size() > 1) {
      preempt(*sequence);  // older ones go on, and it comes back when they have ended
    }
  }
}

void Scheduler::add_prefills(Work& work) {
  std::vector<Sequence*> order;
  for (Sequence* sequence : running_)
    if (!sequence->loading && sequence->continuations.empty() && sequence->missing() > 1) order.push_back(sequence);
  // Least served tenant first; of one tenant, first come.
  std::ranges::stable_sort(order, {},
                           [&](const Sequence* each) { return queue_.counter(each->group->request.tenant); });
  int32_t budget = options_.prefill_chunk;
  if (work.decodes > 0) budget = std::max(kBlockTokens, budget / kChunkDivisorBesideDecodes);
  for (Sequence* sequence : order) {
    if (budget <= 0) return;
    if (!sequence->running) continue;  // preempted for one before it
    const int32_t count = prefill_rows(*sequence, budget);
    if (count == 0) continue;
    const int32_t first = sequence->table.computed;
    if (!make_room(*sequence, first + count, work)) continue;
    const bool whole = first + count == static_cast<int32_t>(sequence->tokens.size());
    const bool asked = sequence->group->request.prompt_logprobs >= 0 && !sequence->group->prompt_done;
    work.rows.push_back({sequence, first, count, whole || asked});
    work.prefill_tokens += count;
    budget -= count;
  }
}

int32_t Scheduler::prefill_rows(Sequence& sequence, int32_t budget) {
  sequence.waits_for_announced = false;
  take_cached(sequence);
  if (parts_.tier != nullptr && !sequence.asked_tier && until_announced_by_other(sequence, kBlockTokens) > 0) {
    sequence.asked_tier = true;
    sequence.loading = reusable(sequence) > 0 && parts_.tier->begin_load(sequence, blocks_);
    if (sequence.loading) announce(sequence);  // whoever needs the same waits for it
    if (sequence.loading) return 0;
  }
  int32_t rows = std::min(budget, sequence.missing());
  if (sequence.group->request.prompt_logprobs >= 0) rows = std::min(rows, kMaxLogitRows);
  rows = until_announced_by_other(sequence, rows);
  sequence.waits_for_announced = rows == 0;
  if (rows > 0) announce(sequence);
  // Ends at a block's edge where more follows, so that whole blocks can be shared at once.
  const int32_t end = sequence.table.computed + rows;
  const int32_t over = end % kBlockTokens;
  if (rows < sequence.missing() && rows > over) rows -= over;
  return rows;
}

Batch Scheduler::batch_of(const Work& work) const {
  Batch batch;
  int32_t next_row = 0;
  for (const Row& row : work.rows) {
    const Sequence& sequence = *row.sequence;
    const auto begin = sequence.tokens.begin() + row.first;
    batch.tokens.insert(batch.tokens.end(), begin, begin + row.count);
    SequenceRows rows{.first_row = next_row, .rows = row.count, .first_position = row.first, .blocks = {}};
    rows.blocks = sequence.table.full;
    batch.full.push_back(rows);
    if (blocks_.has_sliding()) {
      rows.blocks = sequence.table.sliding;
      batch.sliding.push_back(rows);
    }
    const bool all = row.output && sequence.group->request.prompt_logprobs >= 0 && !sequence.group->prompt_done;
    for (int32_t i = all || !row.output ? 0 : row.count - 1; row.output && i < row.count; ++i)
      batch.output_rows.push_back(next_row + i);
    next_row += row.count;
  }
  return batch;
}

}  // namespace payonce::engine
