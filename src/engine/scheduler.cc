#include "engine/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <utility>

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "engine/scheduler_metrics.h"

namespace payonce::engine {
namespace {

int32_t blocks_for(int32_t tokens) { return (tokens + kBlockTokens - 1) / kBlockTokens; }

BlockManager::Options block_options(const EngineOptions& options) {
  BlockManager::Options out;
  out.full_blocks = options.full_blocks;
  out.sliding_blocks = options.sliding_blocks;
  out.window = options.window;
  out.root = kv::root_hash(options.root, "");
  return out;
}

int32_t public_tokens_of(const std::vector<int32_t>& prompt, const EngineOptions& options) {
  size_t longest = 0;
  for (const std::vector<int32_t>& prefix : options.public_prefixes) {
    const auto [end, unused] = std::mismatch(prompt.begin(), prompt.end(), prefix.begin(), prefix.end());
    longest = std::max(longest, static_cast<size_t>(end - prompt.begin()));
  }
  return static_cast<int32_t>(longest);
}

uint64_t random_seed() {
  uint64_t seed = 0;
  base::random_bytes(&seed, sizeof seed);
  return seed;
}

}  // namespace

Scheduler::Scheduler(Parts parts, EngineOptions options)
    : parts_(parts),
      options_(std::move(options)),
      blocks_(block_options(options_), parts.executor, parts.clock),
      metrics_(std::make_unique<Handles>(parts.metrics)) {
  if (parts_.vocab != nullptr)
    for (int32_t token = 0; token < parts_.vocab->size(); ++token)
      if (parts_.vocab->is_end(token)) end_tokens_.push_back(token);
  if (parts_.tier != nullptr) blocks_.on_evict([this](int32_t id) { parts_.tier->store(blocks_, id); });
  publish();
}

Scheduler::~Scheduler() {
  if (parts_.tier != nullptr) parts_.tier->store_all(blocks_);
}

base::Status Scheduler::check(const Generate& request) const {
  const auto invalid = [](std::string message) { return base::fail(base::Code::kInvalid, std::move(message)); };
  const auto prompt = static_cast<int32_t>(request.prompt.size());
  if (prompt == 0) return invalid("the prompt is empty: expected at least one token");
  const int32_t vocab = parts_.executor.vocab_size();
  for (const int32_t token : request.prompt)
    if (token < 0 || token >= vocab)
      return invalid(fmt::format("the prompt holds token {}; this model has 0 to {}", token, vocab - 1));
  if (prompt >= options_.context_tokens)
    return invalid(fmt::format("the prompt has {} tokens; the context holds {}, of which one must be left to answer",
                               prompt, options_.context_tokens));
  if (request.stopping.max_tokens > 0 && prompt > options_.context_tokens - request.stopping.max_tokens)
    return invalid(fmt::format("{} prompt tokens and {} to answer are {}; the context holds {}", prompt,
                               request.stopping.max_tokens, prompt + request.stopping.max_tokens,
                               options_.context_tokens));
  const int32_t width = std::max({request.n, request.best_of, request.beam_search ? request.beams : 0});
  if (request.n < 1) return invalid(fmt::format("n is {}; expected at least 1", request.n));
  if (width > options_.max_batch)
    return invalid(fmt::format("{} sequences at once; this engine runs {} (--max-batch)", width, options_.max_batch));
  const bool too_few_beams = request.beam_search && request.beams < request.n;
  const bool too_few_samples = !request.beam_search && request.best_of != 0 && request.best_of < request.n;
  if (too_few_beams || too_few_samples)
    return invalid(fmt::format("n is {}, more than the {} sequences that would be made", request.n,
                               too_few_beams ? request.beams : request.best_of));
  if (blocks_for(prompt + 1) > options_.full_blocks)
    return invalid(fmt::format("{} prompt tokens need {} KV blocks; the pool has {} (--kv-blocks, --kv-memory)",
                               prompt, blocks_for(prompt + 1), options_.full_blocks));
  return {};
}

void Scheduler::add(RequestId id, Generate request, std::shared_ptr<Sink> sink) {
  auto group = std::make_unique<Group>();
  group->id = id;
  group->request = std::move(request);
  group->sink = std::move(sink);
  group->seed = group->request.sampling.seed.value_or(random_seed());
  group->deadline_ms = group->request.deadline_ms;
  Group& added = *group;
  groups_.push_back(std::move(group));
  queue_.push(added);
  set_up(added);
  publish();
}

void Scheduler::set_up(Group& added) {
  std::unique_ptr<Grammar> grammar;
  if (!added.request.grammar.gbnf.empty()) {
    if (parts_.vocab == nullptr)
      return fail(added, {base::Code::kInvalid, "a grammar needs a model with a vocabulary"});
    auto made = Grammar::make(*parts_.vocab, added.request.grammar);
    if (!made) return fail(added, made.error());
    grammar = *std::move(made);
  }
  auto sequence = std::make_unique<Sequence>();
  sequence->id = next_sequence_++;
  sequence->group = &added;
  sequence->tokens = added.request.prompt;
  sequence->table.tenant = added.request.tenant;
  sequence->table.public_tokens = public_tokens_of(added.request.prompt, options_);
  const auto prompt = static_cast<int32_t>(added.request.prompt.size());
  const int32_t limit = added.request.stopping.max_tokens;
  sequence->max_tokens = limit > 0 ? std::min(options_.context_tokens, prompt + limit) : options_.context_tokens;
  sequence->sampler =
      std::make_unique<Sampler>(added.request.sampling, added.seed, 0, added.request.prompt, std::move(grammar));
  sequence->text = std::make_unique<TextStream>(0, added.request.stopping.strings, added.request.logprobs >= 0);
  sequences_[sequence->id] = sequence.get();
  added.unfinished = 1;
  added.sequences.push_back(std::move(sequence));
}

Group* Scheduler::find(RequestId id) {
  for (const auto& group : groups_)
    if (group->id == id && !group->over) return group.get();
  return nullptr;
}

void Scheduler::cancel(RequestId id) {
  if (Group* group = find(id)) end(*group);
  drop_ended();
  publish();
}

void Scheduler::end(Group& group) {
  group.over = true;
  queue_.remove(group);
  for (const auto& sequence : group.sequences) stop(*sequence);
}

void Scheduler::stop(Sequence& sequence) {
  withdraw(sequence, INT32_MAX);
  if (parts_.tier != nullptr) parts_.tier->wanted(sequence.table, blocks_);
  blocks_.release(sequence.table);
  sequence.running = false;
  std::erase(running_, &sequence);
  std::erase(preempted_, &sequence);
}

void Scheduler::fail(Group& group, base::Error error) {
  if (group.over) return;
  end(group);
  ended_.push_back({group.sink, tl::unexpected(std::move(error))});
}

void Scheduler::fail_all(const base::Error& error) {
  for (const auto& group : groups_) fail(*group, error);
  drop_ended();
  publish();
}

// Groups are dropped here alone, so that no step loses one under its hands.
void Scheduler::drop_ended() {
  for (const auto& group : groups_)
    if (group->over)
      for (const auto& sequence : group->sequences) sequences_.erase(sequence->id);
  std::erase_if(groups_, [](const auto& group) { return group->over; });
}

void Scheduler::expire() {
  const int64_t now_ms = parts_.clock.monotonic_us() / 1000;
  for (const auto& group : groups_)
    if (group->deadline_ms > 0 && now_ms >= group->deadline_ms)
      fail(*group, {base::Code::kTimeout, "the deadline passed before the answer was complete"});
}

// ---- who runs ------------------------------------------------------------------------------------

void Scheduler::admit() {
  const std::vector<Sequence*> preempted = preempted_;  // they have their places
  for (Sequence* sequence : preempted) {
    if (!sequence->continuations.empty())
      continue;  // computed; waits for its fellow beams, and needs no block for it
    if (!start(*sequence)) return;
  }
  int32_t taken = 0;
  for (const auto& group : groups_) taken += group->over ? 0 : group->places();
  while (Group* group = queue_.front()) {
    // Places for all its sequences, though all but the first come when the prompt is computed.
    taken += group->width();
    if (taken > options_.max_batch || !start(*group->sequences.front())) return;
    queue_.pop_front();
    group->admitted = true;
  }
}

// Enough blocks for all of its tokens and one more, in the pool or already its own; alone it runs in any case.
bool Scheduler::fits(Sequence& sequence) {
  const int32_t tokens = static_cast<int32_t>(sequence.tokens.size()) + 1;
  const auto held = static_cast<int32_t>(sequence.table.full.size());
  const int32_t needed = blocks_for(tokens) - held + static_cast<int32_t>(running_.size());
  if (needed > blocks_.available()) return false;
  if (!blocks_.has_sliding()) return true;
  const int32_t span = std::min(tokens, options_.window + options_.prefill_chunk) + kBlockTokens;
  return blocks_for(span) <= blocks_.sliding_available();
}

bool Scheduler::start(Sequence& sequence) {
  (void)blocks_.extend_from_cache(sequence.table, sequence.tokens, reusable(sequence));
  if (!running_.empty() && !fits(sequence)) {
    blocks_.release(sequence.table);
    return false;
  }
  credit(sequence, 0);
  std::erase(preempted_, &sequence);
  sequence.running = true;
  sequence.asked_tier = false;
  const auto later = std::find_if(running_.begin(), running_.end(),
                                  [&](const Sequence* other) { return other->group->id > sequence.group->id; });
  running_.insert(later, &sequence);
  return true;
}

void Scheduler::receive_loads() {
  if (parts_.tier == nullptr) return;
  for (const uint64_t id : parts_.tier->receive(blocks_))
    if (const auto it = sequences_.find(id); it != sequences_.end()) it->second->loading = false;
}

bool Scheduler::step() {
  receive_loads();
  expire();
  drop_ended();
  admit();
  publish();  // who waits is known before the step's work
  const int64_t started_us = parts_.clock.monotonic_us();
  const Work work = choose();
  if (work.rows.empty()) {
    drop_ended();
    publish();
    return parts_.tier != nullptr && parts_.tier->store_some(blocks_);
  }
  const auto logits = parts_.executor.compute(batch_of(work));
  if (!logits) {
    for (const Row& row : work.rows) fail(*row.sequence->group, logits.error());
  } else {
    for (const Row& row : work.rows) {
      blocks_.commit(row.sequence->table, row.sequence->tokens, row.first + row.count);
      withdraw(*row.sequence, row.sequence->table.computed / kBlockTokens);
    }
    account(work, started_us);
    outputs(work, *logits);
  }
  drop_ended();
  if (parts_.tier != nullptr) (void)parts_.tier->store_some(blocks_);
  publish();
  return true;
}

EngineStats Scheduler::stats() const {
  EngineStats out = counts_;
  const BlockManager::Counts full = blocks_.full_counts(), sliding = blocks_.sliding_counts();
  out.blocks_free = full.free, out.blocks_used = full.used, out.blocks_cached = full.cached;
  out.sliding_free = sliding.free, out.sliding_used = sliding.used, out.sliding_cached = sliding.cached;
  out.running = static_cast<int32_t>(running_.size());
  out.waiting = queue_.waiting() + static_cast<int32_t>(preempted_.size());
  out.evictions = blocks_.evictions();
  return out;
}

void Scheduler::publish() {
  const EngineStats now = stats();
  metrics_->set(now, blocks_.sliding_evictions());
  if (parts_.on_stats) parts_.on_stats(now);
  std::vector<Ended> ended;
  ended.swap(ended_);
  for (Ended& each : ended) {
    try {
      if (each.how)
        each.sink->done(*each.how);
      else
        each.sink->failed(std::move(each.how.error()));
    } catch (const std::exception& error) {
      base::log_error("a request's end could not be told: {}", error.what());  // the others' can
    }
  }
}

}  // namespace payonce::engine
