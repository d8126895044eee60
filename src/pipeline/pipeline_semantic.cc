// Pipeline: the way of a request through the semantic layer.
#include <algorithm>
#include <utility>

#include "pipeline/pipeline.h"

namespace payonce::pipeline {

// Not stored: is there a question to compare?
Decision Pipeline::missed(const Incoming& incoming, PreparedPtr prepared, const Directives& directives,
                          const PolicyPtr& policy) {
  auto asked = identifier_.asked(incoming, *policy);
  if (!asked) return forward(std::move(prepared), directives, policy, Forwarded::kMiss);
  auto lookup = semantic_->start(*prepared, std::move(asked->context), std::move(asked->question));
  if (lookup->waited_for) return Search{std::move(prepared), directives, policy, std::move(lookup)};
  semantic_->look_up(lookup,
                     [this, prepared, lookup](std::string_view) { semantic_->forwarded(*prepared, *lookup); });
  return forward(std::move(prepared), directives, policy, Forwarded::kMiss, std::move(lookup), "semantic-sampling");
}

void Pipeline::search(const Search& search, std::function<void(Decision)> done) {
  semantic_->look_up(search.lookup, [this, search, done = std::move(done)](std::string_view fault) {
    done(looked_up(search, fault));
  });
}

void Pipeline::forget_what_is_gone() {
  if (semantic_ == nullptr) return;
  (void)semantic_->cache().forget_if([this](std::string_view key) {
    const cache::Found found = look_up(std::string(key));
    return !found.entry && found.reason != cache::MissReason::kOnDisk;
  });
}

Decision Pipeline::looked_up(const Search& search, std::string_view fault) {
  if (search.lookup->outcome != semantic::Outcome::kServe)
    return forward(search.prepared, search.directives, search.policy, Forwarded::kMiss, search.lookup, fault);
  const cache::Found found = look_up(search.lookup->candidates.front().key);
  if (!found.entry && found.reason == cache::MissReason::kOnDisk)
    return Load{search.prepared, search.directives, search.policy, search.lookup};
  return answer_by_meaning(search.prepared, search.directives, search.policy, search.lookup, found);
}

// The candidate is sure enough; is its answer still there, young enough, and can it be framed?
Decision Pipeline::answer_by_meaning(const PreparedPtr& prepared, const Directives& directives,
                                     const PolicyPtr& policy, const AskedQuestionPtr& lookup,
                                     const cache::Found& found) {
  const semantic::Candidate& candidate = lookup->candidates.front();
  const auto go_on = [&] { return forward(prepared, directives, policy, Forwarded::kMiss, lookup); };
  // The group's key says it already; a second lock on the same door.
  if (found.entry && found.entry->scope != prepared->scope) return go_on();
  if (!found.entry) {
    semantic_->cache().forget(candidate.row);
    return go_on();
  }
  const int64_t age_ms = std::max<int64_t>(0, clock_.unix_ms() - found.entry->created_ms);
  if (directives.max_age_s && age_ms > *directives.max_age_s * 1000) return go_on();
  auto made = answer(prepared, found.entry);
  if (!made) return go_on();
  made->layer = "semantic";
  made->similarity = candidate.similarity;
  made->hit_id = semantic_->served(*prepared, *lookup);
  count_hit(*made);
  if (lookup->ask_again && !directives.no_store && !check_limits(prepared->caller, *policy)) {
    Forward again = to_upstream(prepared, directives, policy, Forwarded::kMiss);
    again.collapse = false;
    again.lookup = lookup;
    again.was_served = true;
    made->ask_again = std::make_shared<Forward>(std::move(again));
  }
  return *std::move(made);
}

void Pipeline::settle_semantic(const Forward& forward, const Recorded& recorded, const Judged& judged,
                               int64_t expires_ms) {
  if (!judged.complete) return;
  semantic_->settle({.prepared = *forward.prepared,
                     .lookup = forward.lookup,
                     .form = judged.form,
                     .body = recorded.body,
                     .stored = judged.store,
                     .expires_ms = expires_ms,
                     .was_served = forward.was_served,
                     .upstream_us = forward.was_served ? -1 : clock_.monotonic_us() - forward.started_us});
}

}  // namespace payonce::pipeline
