// Scheduler: what becomes of a step's logits.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "engine/scheduler.h"
#include "engine/scheduler_metrics.h"

namespace payonce::engine {
namespace {

// A decoded token costs its reader's share of the machine more than a prompt token (VTC's weights).
constexpr double kPromptTokenWeight = 1, kOutputTokenWeight = 2;

}  // namespace

std::span<const float> Scheduler::row_of(std::span<const float> logits, size_t index) const {
  const auto vocab = static_cast<size_t>(parts_.executor.vocab_size());
  return logits.subspan(index * vocab, vocab);
}

void Scheduler::account(const Work& work, int64_t started_us) {
  const int64_t duration_us = parts_.clock.monotonic_us() - started_us;
  for (const Row& row : work.rows) {
    Sequence& sequence = *row.sequence;
    sequence.seen_tokens = std::max(sequence.seen_tokens, sequence.table.computed);
    queue_.charge(sequence.group->request.tenant, row.count * kPromptTokenWeight);
  }
  const int32_t rows = work.prefill_tokens + work.decodes;
  counts_.computed_tokens += static_cast<uint64_t>(rows);
  metrics_->step(work.prefill_tokens, work.decodes, duration_us);
  if (parts_.tier != nullptr && work.decodes == 0) parts_.tier->prefilled(work.prefill_tokens, duration_us);
}

void Scheduler::outputs(const Work& work, std::span<const float> logits) {
  size_t next = 0;
  for (const Row& row : work.rows) {
    if (!row.output) continue;
    Sequence& sequence = *row.sequence;
    Group& group = *sequence.group;
    const bool whole_prompt = group.request.prompt_logprobs >= 0 && !group.prompt_done;
    const auto count = static_cast<size_t>(whole_prompt ? row.count : 1);
    const std::span<const float> own = logits.subspan(next * static_cast<size_t>(parts_.executor.vocab_size()),
                                                      count * static_cast<size_t>(parts_.executor.vocab_size()));
    next += count;
    if (group.over) continue;
    if (whole_prompt) prompt_outputs(row, own);
    if (sequence.missing() > 0) continue;  // more of the prompt follows
    const std::span<const float> last = row_of(own, count - 1);
    if (!group.prompt_done)
      finish_prompt(sequence, last);
    else if (group.request.beam_search)
      beam_row(sequence, last);
    else
      next_token(sequence, last);
  }
}

// Row i tells how likely token i + 1 of the prompt was; the first has no logprob.
void Scheduler::prompt_outputs(const Row& row, std::span<const float> logits) {
  Group& group = *row.sequence->group;
  const std::vector<int32_t>& prompt = group.request.prompt;
  for (int32_t i = 0; i < row.count; ++i) {
    const auto token = static_cast<size_t>(row.first + i + 1);
    if (token >= prompt.size()) break;
    Likeliest found =
        likeliest_of(row_of(logits, static_cast<size_t>(i)), prompt[token], group.request.prompt_logprobs);
    group.prompt_logprobs.push_back(found.chosen);
    group.prompt_likeliest.push_back(std::move(found.top));
  }
}

// The prompt is computed: from here its sequences share all of it and go ways of their own.
void Scheduler::finish_prompt(Sequence& first, std::span<const float> logits) {
  Group& group = *first.group;
  const int64_t now_ms = parts_.clock.unix_ms();
  for (const CacheMark& mark : group.request.marks)
    blocks_.mark(first.table, mark.tokens, now_ms + mark.ttl_s * 1000);
  if (parts_.tier != nullptr) {
    parts_.tier->wanted(first.table, blocks_);
    parts_.tier->store_tail(first.table, blocks_);
  }
  if (group.request.prompt_logprobs >= 0)
    group.sink->prompt_logprobs(std::move(group.prompt_logprobs), std::move(group.prompt_likeliest));
  group.prompt_done = true;
  group.sink->started(usage_of(group));
  if (group.request.beam_search) return beam_row(first, logits);
  const int32_t width = group.width();
  for (int32_t choice = 1; choice < width; ++choice) (void)fork(first, choice);
  // Each takes a token of its own; ending one may not disturb the walk.
  for (int32_t choice = 0; choice < width && !group.over; ++choice)
    next_token(*group.sequences[static_cast<size_t>(choice)], logits);
}

Sequence& Scheduler::fork(Sequence& parent, int32_t choice) {
  Group& group = *parent.group;
  auto made = std::make_unique<Sequence>();
  Sequence& child = *made;
  child.id = next_sequence_++;
  child.group = &group;
  child.choice = choice;
  child.tokens = parent.tokens;
  child.table = blocks_.fork(parent.table);
  child.seen_tokens = parent.seen_tokens;
  child.max_tokens = parent.max_tokens;
  child.logprob_sum = parent.logprob_sum;
  child.sampler = std::make_unique<Sampler>(parent.sampler->fork(choice));
  child.text = std::make_unique<TextStream>(choice, group.request.stopping.strings, group.request.logprobs >= 0);
  child.running = true;
  sequences_[child.id] = &child;
  const auto later = std::find_if(running_.begin(), running_.end(),
                                  [&](const Sequence* other) { return other->group->id > group.id; });
  running_.insert(later, &child);
  group.sequences.push_back(std::move(made));
  ++group.unfinished;
  return child;
}

bool Scheduler::ends(const Group& group, int32_t token) const {
  const Stopping& stopping = group.request.stopping;
  if (std::ranges::find(stopping.tokens, token) != stopping.tokens.end()) return true;
  return !stopping.ignore_eos && parts_.vocab != nullptr && parts_.vocab->is_end(token);
}

std::vector<int32_t> Scheduler::banned_tokens(const Sequence& sequence) const {
  const Stopping& stopping = sequence.group->request.stopping;
  const auto generated =
      static_cast<int32_t>(sequence.tokens.size()) - static_cast<int32_t>(sequence.group->request.prompt.size());
  if (generated >= stopping.min_tokens) return {};
  std::vector<int32_t> out = stopping.tokens;
  if (!stopping.ignore_eos) out.insert(out.end(), end_tokens_.begin(), end_tokens_.end());
  return out;
}

GeneratedToken Scheduler::describe(const Group& group, int32_t token, std::span<const float> logits) const {
  GeneratedToken out{.token = token, .text = {}, .logprob = 0, .likeliest = {}};
  const std::vector<int32_t>& shown = group.request.shown_tokens;
  const bool is_shown = std::ranges::find(shown, token) != shown.end();
  if (parts_.vocab != nullptr) out.text = parts_.vocab->piece(token, is_shown);
  if (logits.empty() || (group.request.logprobs < 0 && group.streams())) return out;
  Likeliest found = likeliest_of(logits, token, std::max(group.request.logprobs, 0));
  out.logprob = found.chosen.logprob;
  out.likeliest = std::move(found.top);
  return out;
}

void Scheduler::next_token(Sequence& sequence, std::span<const float> logits) {
  const auto position = static_cast<int32_t>(sequence.tokens.size());
  const int32_t token = sequence.sampler->sample(logits, position, banned_tokens(sequence));
  sequence.sampler->accept(token);
  take_token(sequence, token, logits);
}

void Scheduler::take_token(Sequence& sequence, int32_t token, std::span<const float> logits) {
  Group& group = *sequence.group;
  const auto generated =
      static_cast<int32_t>(sequence.tokens.size()) - static_cast<int32_t>(group.request.prompt.size());
  sequence.tokens.push_back(token);
  ++group.completion_tokens;
  queue_.charge(group.request.tenant, kOutputTokenWeight);
  GeneratedToken described = describe(group, token, logits);
  sequence.logprob_sum += static_cast<double>(described.logprob);
  if (ends(group, token)) return finish(sequence, Finish::kStop);
  const bool may_stop = generated + 1 >= group.request.stopping.min_tokens;
  if (sequence.text->add(std::move(described), may_stop)) return finish(sequence, Finish::kStop);
  if (static_cast<int32_t>(sequence.tokens.size()) >= sequence.max_tokens) return finish(sequence, Finish::kLength);
  give(sequence, false);
}

void Scheduler::give(Sequence& sequence, bool last) {
  Piece piece = sequence.text->take(last);
  if (piece.tokens.empty() && piece.text.empty()) return;
  if (sequence.group->streams())
    sequence.group->sink->piece(std::move(piece));
  else
    sequence.held.push_back(std::move(piece));
}

void Scheduler::finish(Sequence& sequence, Finish why) {
  Group& group = *sequence.group;
  give(sequence, true);
  sequence.finished = true;
  sequence.how = {.choice = sequence.choice,
                  .why = why,
                  .stop_string = sequence.text->stop_string(),
                  .logprob_sum = sequence.logprob_sum};
  stop(sequence);
  if (group.streams()) group.sink->finished(sequence.how);
  if (--group.unfinished == 0) finish_group(group);
}

// best_of: the n with the highest logprob a token, renumbered.
void Scheduler::deliver_best(Group& group) {
  const auto score = [&](const std::unique_ptr<Sequence>& each) {
    const auto generated = static_cast<double>(each->tokens.size() - group.request.prompt.size());
    return -each->logprob_sum / std::max(1.0, generated);
  };
  std::ranges::stable_sort(group.sequences, {}, score);
  for (int32_t choice = 0; choice < group.request.n; ++choice) {
    Sequence& sequence = *group.sequences[static_cast<size_t>(choice)];
    for (Piece& piece : sequence.held) {
      piece.choice = choice;
      group.sink->piece(std::move(piece));
    }
    sequence.how.choice = choice;
    group.sink->finished(sequence.how);
  }
}

EngineUsage Scheduler::usage_of(const Group& group) {
  EngineUsage usage;
  usage.prompt_tokens = static_cast<int32_t>(group.request.prompt.size());
  usage.cached_tokens = group.cached_tokens;
  int32_t marked = 0;
  for (const CacheMark& mark : group.request.marks) marked = std::max(marked, mark.tokens);
  usage.written_tokens = std::max(0, std::min(marked, usage.prompt_tokens) - usage.cached_tokens);
  usage.completion_tokens = group.completion_tokens;
  return usage;
}

void Scheduler::finish_group(Group& group) {
  if (!group.request.beam_search && !group.streams()) deliver_best(group);
  const EngineUsage usage = usage_of(group);
  counts_.hit_tokens += static_cast<uint64_t>(usage.cached_tokens);
  counts_.prompt_tokens += static_cast<uint64_t>(usage.prompt_tokens);
  metrics_->request(usage);
  end(group);
  ended_.push_back({group.sink, usage});
}

}  // namespace payonce::engine
