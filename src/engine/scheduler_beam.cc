// Scheduler: beam search. Every beam is a sequence; what beams have in common they share block by block, and a beam
// that takes two continuations forks (copy-on-write). Deterministic: ties go to the earlier beam, then the lower
// token. Source: the rules of vLLM's and transformers' beam search (2·beams continuations looked at, length penalty,
// early stopping).
#include <algorithm>
#include <cmath>
#include <utility>

#include "base/assert.h"
#include "engine/scheduler.h"

namespace payonce::engine {
namespace {

double score_of(double logprob_sum, size_t generated, double length_penalty) {
  return logprob_sum / std::pow(static_cast<double>(std::max<size_t>(generated, 1)), length_penalty);
}

struct Continuation {
  Sequence* parent;
  int32_t token;
  double logprob_sum;
};

std::vector<Continuation> likeliest_continuations(const Group& group) {
  std::vector<Continuation> out;
  for (const auto& beam : group.sequences) {
    if (beam->finished) continue;
    for (const TokenLogprob& next : beam->continuations)
      out.push_back({beam.get(), next.token, beam->logprob_sum + static_cast<double>(next.logprob)});
  }
  std::ranges::stable_sort(out, std::greater(), &Continuation::logprob_sum);
  return out;
}

}  // namespace

void Scheduler::beam_row(Sequence& sequence, std::span<const float> logits) {
  sequence.continuations = top_logprobs(logits, 2 * sequence.group->request.beams);
  const std::vector<int32_t> banned = banned_tokens(sequence);
  std::erase_if(sequence.continuations,
                [&](const TokenLogprob& each) { return std::ranges::find(banned, each.token) != banned.end(); });
  for (const auto& beam : sequence.group->sequences)
    if (!beam->finished && beam->continuations.empty()) return;  // not all have come
  beam_step(*sequence.group);
}

void Scheduler::beam_step(Group& group) {
  const Generate& request = group.request;
  const size_t prompt = request.prompt.size();
  std::vector<Continuation> chosen;
  for (const Continuation& next : likeliest_continuations(group)) {
    if (static_cast<int32_t>(chosen.size()) == request.beams) break;
    const size_t generated = next.parent->tokens.size() + 1 - prompt;
    const bool stop = ends(group, next.token);
    if (!stop && static_cast<int32_t>(next.parent->tokens.size()) + 1 < next.parent->max_tokens) {
      chosen.push_back(next);
      continue;
    }
    Hypothesis done{
        .tokens = {next.parent->tokens.begin() + static_cast<std::ptrdiff_t>(prompt), next.parent->tokens.end()},
        .logprob_sum = next.logprob_sum,
        .score = score_of(next.logprob_sum, generated, request.length_penalty),
        .why = stop ? Finish::kStop : Finish::kLength};
    done.tokens.push_back(next.token);
    group.hypotheses.push_back(std::move(done));
    if (!stop) chosen.push_back({nullptr, 0, 0});  // takes its place among the beams, though it ends here
  }
  std::erase_if(chosen, [](const Continuation& next) { return next.parent == nullptr; });
  std::ranges::stable_sort(group.hypotheses, std::greater(), &Hypothesis::score);

  const bool enough = static_cast<int32_t>(group.hypotheses.size()) >= request.beams;
  bool over = chosen.empty();
  if (enough && !over) {
    const double worst = group.hypotheses[static_cast<size_t>(request.beams) - 1].score;
    const size_t length = chosen.front().parent->tokens.size() + 1 - prompt;
    over = request.early_stopping || score_of(chosen.front().logprob_sum, length, request.length_penalty) <= worst;
  }
  if (over) return finish_beams(group);

  // A parent's first continuation goes on in its place, the others fork; who has none ends.
  std::vector<Sequence*> beams;
  std::vector<Sequence*> parents;
  for (const Continuation& next : chosen) {
    const bool used = std::ranges::find(parents, next.parent) != parents.end();
    beams.push_back(used ? &fork(*next.parent, 0) : next.parent);
    if (!used) parents.push_back(next.parent);
  }
  for (size_t i = 0; i < chosen.size(); ++i) {
    beams[i]->continuations.clear();
    beams[i]->logprob_sum = chosen[i].logprob_sum;
    beams[i]->tokens.push_back(chosen[i].token);
    ++group.completion_tokens;
  }
  for (const auto& beam : group.sequences) {
    if (beam->finished || std::ranges::find(beams, beam.get()) != beams.end()) continue;
    stop(*beam);
    beam->finished = true;
    --group.unfinished;
  }
  // Ended beams would pile up step by step.
  for (const auto& beam : group.sequences)
    if (beam->finished) sequences_.erase(beam->id);
  std::erase_if(group.sequences, [](const auto& beam) { return beam->finished; });
}

void Scheduler::finish_beams(Group& group) {
  const Generate& request = group.request;
  for (int32_t choice = 0; choice < request.n && choice < static_cast<int32_t>(group.hypotheses.size()); ++choice) {
    const Hypothesis& best = group.hypotheses[static_cast<size_t>(choice)];
    TextStream text(choice, request.stopping.strings, false);
    bool stopped = false;
    for (const int32_t token : best.tokens) {
      if (stopped || ends(group, token)) break;
      stopped = text.add(describe(group, token, {}), true);
    }
    group.sink->piece(text.take(true));
    group.sink->finished({.choice = choice,
                          .why = stopped ? Finish::kStop : best.why,
                          .stop_string = text.stop_string(),
                          .logprob_sum = best.logprob_sum});
  }
  finish_group(group);
}

}  // namespace payonce::engine
