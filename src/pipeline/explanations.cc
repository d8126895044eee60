#include "pipeline/explanations.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "llm/request.h"

namespace payonce::pipeline {
namespace {

constexpr size_t kCompared = 32;  // bodies

std::string_view exact_reason(const Forward& forward) {
  switch (forward.why) {
    case Forwarded::kBypass: return "not asked: the layer is off for this request, or it is sampled";
    case Forwarded::kRequest: return "not asked: Cache-Control: no-cache";
    case Forwarded::kStale: return "older than the request's max-age";
    case Forwarded::kMiss: break;
  }
  switch (forward.exact_miss) {
    case cache::MissReason::kExpired: return "expired";
    case cache::MissReason::kFault: return "a fault inside the layer; see the log";
    case cache::MissReason::kCold:
    case cache::MissReason::kOnDisk: break;
  }
  return "no answer to this key is stored";
}

}  // namespace

uint64_t Explanations::next_id() {
  const std::lock_guard lock(mutex_);
  if (next_ == 0) {  // ids of two runs are not the same, and none can be guessed
    base::random_bytes(&next_, sizeof next_);
    next_ = (next_ >> 1) + 1;
    ring_.resize(kKept);
    oldest_body_ = next_;
  }
  return next_++;
}

std::string Explanations::text(uint64_t id) { return fmt::format("r-{:016x}", id); }

std::optional<uint64_t> Explanations::parse(std::string_view text) {
  if (text.size() != 18 || !text.starts_with("r-")) return std::nullopt;
  uint64_t id = 0;
  const auto [end, error] = std::from_chars(text.data() + 2, text.data() + text.size(), id, 16);
  if (error != std::errc() || end != text.data() + text.size() || id == 0) return std::nullopt;
  return id;
}

void Explanations::hit(uint64_t id, const Answer& answer) {
  Explained made{.id = id, .at_ms = clock_.unix_ms(), .prepared = answer.prepared, .outcome = "hit"};
  made.layer = answer.layer;
  made.age_s = answer.age_s;
  made.similarity = answer.similarity;
  made.hit_id = answer.hit_id;
  made.billed = answer.entry->usage;
  made.cost_usd = answer.entry->cost_usd;
  const std::lock_guard lock(mutex_);
  body_bytes_ -= slot(id).body.size();
  slot(id) = std::move(made);
}

void Explanations::forwarded(uint64_t id, const Forward& forward, const base::Bytes& body, bool collapsed) {
  if (!forward.prepared) return;
  Explained made{.id = id, .at_ms = clock_.unix_ms(), .prepared = forward.prepared};
  made.outcome = forwarded_name(forward.why);
  made.exact = exact_reason(forward);
  if (forward.lookup) made.semantic = semantic::outcome_name(forward.lookup->outcome);
  made.detail = forward.detail;
  made.collapsed = collapsed;
  made.body = body;
  const std::lock_guard lock(mutex_);
  body_bytes_ += body.size() - slot(id).body.size();
  slot(id) = std::move(made);
  drop_bodies();
}

void Explanations::drop_bodies() {
  if (next_ - oldest_body_ > kKept) oldest_body_ = next_ - kKept;
  for (; body_bytes_ > max_body_bytes_ && oldest_body_ < next_; ++oldest_body_) {
    base::Bytes& body = slot(oldest_body_).body;
    body_bytes_ -= body.size();
    body = {};
  }
}

void Explanations::settled(uint64_t id, const PrefixPlanPtr& plan, const Judged& judged) {
  std::shared_ptr<prefix::Plan> kept;
  if (plan != nullptr) {
    kept = std::make_shared<prefix::Plan>(*plan);
    if (kept->body) kept->body.emplace();
  }
  const std::lock_guard lock(mutex_);
  if (ring_.empty() || slot(id).id != id) return;
  Explained& at = slot(id);
  at.prefix = std::move(kept);
  at.settled = judged.complete;
  at.billed = judged.usage;
  at.cost_usd = judged.cost_usd;
  at.provider_says = judged.provider_says;
}

std::optional<Explained> Explanations::find(uint64_t id) const {
  const std::lock_guard lock(mutex_);
  if (ring_.empty() || ring_[id % kKept].id != id) return std::nullopt;
  return ring_[id % kKept];
}

std::optional<Nearest> Explanations::nearest(const Explained& to) const {
  if (to.body.empty()) return std::nullopt;
  std::vector<Explained> earlier;
  {
    const std::lock_guard lock(mutex_);
    for (uint64_t id = to.id - 1; id >= oldest_body_ && to.id - id < kKept && earlier.size() < kCompared; --id) {
      const Explained& at = ring_[id % kKept];
      if (at.id == id && !at.body.empty() && at.prepared->scope == to.prepared->scope &&
          at.prepared->dialect == to.prepared->dialect)
        earlier.push_back(at);
    }
  }
  const auto request = llm::parse_request(to.prepared->dialect, to.body);
  const auto prompt = request ? prefix::read_prompt(*request, hash_) : std::nullopt;
  if (!prompt) return std::nullopt;
  std::optional<Nearest> best;
  for (const Explained& candidate : earlier) {  // the latest first
    const auto other = llm::parse_request(candidate.prepared->dialect, candidate.body);
    const auto other_prompt = other ? prefix::read_prompt(*other, hash_) : std::nullopt;
    if (!other_prompt) continue;
    Nearest found{.id = candidate.id, .at_ms = candidate.at_ms};
    found.comparison = prefix::compare(*other_prompt, *prompt, hash_);
    const auto rank = [](const Nearest& of) {
      return std::pair(-static_cast<int64_t>(of.comparison.differences.size()), of.comparison.common_tokens);
    };
    if (!best || rank(found) > rank(*best)) best = std::move(found);
  }
  return best;
}

}  // namespace payonce::pipeline
