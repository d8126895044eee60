#include "prompt_cache/simulator.h"

#include <algorithm>
#include <array>

namespace payonce::prompt_cache {
namespace {

// The answer to "who is longest?" among llama-server's slots must be similar enough, else the least used is taken.
constexpr double kSlotSimilarity = 0.1;

}  // namespace

std::string_view miss_name(Miss miss) {
  constexpr std::array<std::string_view, 9> kNames = {"none",         "unmarked",         "below_minimum",
                                                      "cold",         "changed",          "expired",
                                                      "not_readable", "outside_lookback", "unwritten"};
  return kNames[static_cast<size_t>(miss)];
}

llm::Usage Billed::usage() const {
  return {.fresh = fresh,
          .read = read,
          .write_short = write_short,
          .write_long = write_long,
          .output = output,
          .known = true};
}

Simulator::Simulator(const Provider& provider, Limits limits) : provider_(provider), positions_(limits.positions) {
  slots_.resize(static_cast<size_t>(provider.slots));
}

const Rule& Simulator::rule(std::string_view model) {
  if (const auto it = rules_.find(model); it != rules_.end()) return it->second;
  constexpr size_t kMaxModels = 1024;
  if (rules_.size() >= kMaxModels) rules_.clear();
  return rules_.emplace(std::string(model), rule_for(provider_, model)).first->second;
}

// The chain of the prompt: each step's hash stands for all that came before it. The digests of a level's parameters
// go in where the level begins, so a change of theirs leaves what stands before as it was.
void Simulator::follow(const SimRequest& request) {
  path_.clear();
  const std::string_view key = provider_.routing.separates ? request.routing_key : std::string_view();
  base::Hash128 hash =
      hash_.parts(std::array{request.account, request.model, key, bytes_of(request.invalidates_all)});
  bool in_system = false, in_messages = false;
  const auto enter = [&](Level level) {
    if (level != Level::kTools && !in_system) {
      in_system = true;
      hash = hash_.parts(std::array{bytes_of(hash), bytes_of(request.invalidates_system)});
    }
    if (level == Level::kMessages && !in_messages) {
      in_messages = true;
      hash = hash_.parts(std::array{bytes_of(hash), bytes_of(request.invalidates_messages)});
    }
  };
  int64_t tokens = 0;
  for (const std::span<const SimBlock> blocks : {request.blocks, request.answer}) {
    for (const SimBlock& block : blocks) {
      enter(block.level);
      hash = hash_.parts(std::array{bytes_of(hash), bytes_of(block.hash)});
      tokens += block.tokens;
      path_.push_back({.hash = hash, .tokens = tokens});
    }
  }
  prompt_steps_ = request.blocks.size();
}

bool Simulator::alive(const Position& position, int64_t at_ms) const {
  if (!position.written || at_ms >= position.expires_ms) return false;
  const auto& ttl = position.ttl == Ttl::kLong ? provider_.long_ttl : provider_.short_ttl;
  return !ttl || ttl->max_age_ms == 0 || at_ms < position.written_ms + ttl->max_age_ms;
}

void Simulator::look_common(Billed& out) {
  for (size_t i = 0; i < prompt_steps_; ++i) {
    const Position* position = positions_.find(path_[i].hash);
    if (position == nullptr) break;
    out.common = path_[i].tokens;
    out.common_blocks = i + 1;
    out.expected = position->reach_tokens;
  }
}

int64_t Simulator::readable_from(const SimRequest& request) const {
  const bool later = provider_.visible == Visible::kAfterAnswer;
  return later ? std::max(request.done_ms, request.readable_ms) : request.readable_ms;
}

void Simulator::write(const SimRequest& request, const Rule& rule, const Step& step, Ttl ttl, bool implicit) {
  Position& position = positions_.get(step.hash);
  position.tokens = step.tokens;
  position.seen_ms = std::max(position.seen_ms, request.at_ms);
  const bool lives = alive(position, request.at_ms);
  const int64_t readable = provider_.visible == Visible::kAfterAnswer ? std::max(request.done_ms, request.readable_ms)
                                                                      : request.readable_ms;
  if (!lives) {
    position.written_ms = request.at_ms;
    position.readable_ms = readable;
    position.expires_ms = INT64_MIN;
    position.ttl = ttl;
    position.implicit = implicit;
  }
  position.readable_ms = std::min(position.readable_ms, readable);
  position.implicit = position.implicit && implicit;
  if (ttl == Ttl::kLong) position.ttl = ttl;
  position.written = true;
  if (lives && !provider_.refresh_on_hit) return;
  const int64_t ttl_ms = rule.ttl(position.ttl).ttl_ms;
  position.expires_ms = ttl_ms == 0 ? INT64_MAX : std::max(position.expires_ms, request.at_ms + ttl_ms);
}

void Simulator::remember(const SimRequest& request, int64_t reach_tokens) {
  for (size_t i = 0; i < prompt_steps_; ++i) {
    Position& position = positions_.get(path_[i].hash);
    position.tokens = path_[i].tokens;
    position.seen_ms = request.at_ms;
    if (position.readable_ms == INT64_MIN) position.readable_ms = readable_from(request);
    position.reach_tokens = reach_tokens;
  }
}

// `tokens` are in the cache; what a provider makes of them by its steps, minimum and rest.
void Simulator::bill_read(const Rule& rule, Ttl ttl, int64_t tokens, Billed& out) const {
  const int64_t total = prompt_steps_ == 0 ? 0 : path_[prompt_steps_ - 1].tokens;
  tokens = std::max<int64_t>(0, std::min(tokens, total - provider_.leave_tokens));
  tokens -= tokens % rule.increment_tokens;
  out.read = tokens < rule.min_tokens ? 0 : tokens;
  const bool is_long = ttl == Ttl::kLong && provider_.long_ttl;
  const bool written = provider_.bills_writes && total >= rule.min_tokens;
  (!written ? out.fresh : is_long ? out.write_long : out.write_short) = total - out.read;
}

void Simulator::run_prefix(const SimRequest& request, const Rule& rule, Billed& out) {
  const Ttl ttl = request.automatic_ttl == Ttl::kNone ? rule.default_ttl : request.automatic_ttl;
  const int64_t total = prompt_steps_ == 0 ? 0 : path_[prompt_steps_ - 1].tokens;
  if (provider_.routing.required && request.routing_key.empty()) {
    out.fresh = total;
    out.miss = Miss::kUnmarked;
    return;
  }
  size_t hit = 0;
  for (size_t i = out.common_blocks; i > 0 && hit == 0; --i) {
    const Position* position = positions_.find(path_[i - 1].hash);
    if (position != nullptr && alive(*position, request.at_ms) && position->readable_ms <= request.at_ms) hit = i;
  }
  bill_read(rule, ttl, hit == 0 ? 0 : path_[hit - 1].tokens, out);
  out.miss = total < rule.min_tokens ? Miss::kBelowMinimum : explain(request, out, hit);
  if (total < rule.min_tokens) return;
  const size_t steps = provider_.caches_answers ? path_.size() : prompt_steps_;
  for (size_t i = 0; i < steps; ++i) write(request, rule, path_[i], ttl, false);
}

void Simulator::run_slots(const SimRequest& request, const Rule& rule, Billed& out) {
  const auto common_steps = [&](const Slot& slot) {
    const size_t size = std::min(slot.path.size(), prompt_steps_);
    size_t steps = 0;
    while (steps < size && slot.path[steps] == path_[steps].hash) ++steps;
    return steps;
  };
  const int64_t total = prompt_steps_ == 0 ? 0 : path_[prompt_steps_ - 1].tokens;
  Slot* best = &slots_.front();
  size_t steps = 0;
  for (Slot& slot : slots_)
    if (const size_t common = common_steps(slot); common > steps) {
      steps = common;
      best = &slot;
    }
  if (steps == 0 || static_cast<double>(path_[steps - 1].tokens) < kSlotSimilarity * static_cast<double>(total)) {
    best = &*std::min_element(slots_.begin(), slots_.end(),
                              [](const Slot& a, const Slot& b) { return a.used_ms < b.used_ms; });
    steps = common_steps(*best);
  }
  bill_read(rule, Ttl::kShort, steps == 0 ? 0 : path_[steps - 1].tokens, out);
  out.miss = out.common_blocks == 0 ? Miss::kCold : steps < out.common_blocks ? Miss::kExpired : Miss::kNone;
  best->used_ms = request.at_ms;
  best->path.clear();
  for (const Step& step : path_) best->path.push_back(step.hash);
}

void Simulator::run_units(const SimRequest& request, const Rule& rule, Billed& out) {
  const Ttl ttl = rule.default_ttl;
  size_t hit = 0;
  int64_t in_intervals = 0;
  for (size_t i = out.common_blocks; i > 0 && hit == 0; --i) {
    const Position* position = positions_.find(path_[i - 1].hash);
    if (position == nullptr || position->readable_ms > request.at_ms) continue;
    if (alive(*position, request.at_ms)) hit = i;
    const bool kept = request.at_ms - position->seen_ms < rule.ttl(ttl).ttl_ms;
    if (kept && in_intervals == 0 && provider_.interval_tokens > 0)
      in_intervals = path_[i - 1].tokens - path_[i - 1].tokens % provider_.interval_tokens;
  }
  bill_read(rule, ttl, std::max(in_intervals, hit == 0 ? 0 : path_[hit - 1].tokens), out);
  out.miss = explain(request, out, hit);
  if (hit > 0) write(request, rule, path_[hit - 1], ttl, false);  // reading starts its TTL anew
  // A common prefix is noticed by the second request that has it, and helps from the third on.
  if (out.common_blocks > 0) write(request, rule, path_[out.common_blocks - 1], ttl, false);
  write(request, rule, path_[prompt_steps_ - 1], ttl, false);
  write(request, rule, path_.back(), ttl, false);
}

base::Result<Billed> Simulator::run(const SimRequest& request) {
  if (request.at_ms < last_ms_)
    return base::fail(base::Code::kInvalid, "requests must come in the order of their starts");
  const Rule& rule = this->rule(request.model);
  Billed out;
  out.output = request.output_tokens;
  std::vector<Mark> marks;
  if (provider_.match == Match::kWrittenPositions) {
    auto found = marks_of(request, rule);
    if (!found) return tl::unexpected(found.error());
    marks = std::move(*found);
  }
  last_ms_ = request.at_ms;
  follow(request);
  if (prompt_steps_ == 0) return out;
  const int64_t total = path_[prompt_steps_ - 1].tokens;
  look_common(out);
  int64_t reach = total;
  switch (provider_.match) {
    case Match::kWrittenPositions:
      run_written(request, rule, marks, out);
      reach = out.read + out.write_short + out.write_long;
      break;
    case Match::kLongestCommonPrefix:
      provider_.slots > 0 ? run_slots(request, rule, out) : run_prefix(request, rule, out);
      break;
    case Match::kPersistedUnits: run_units(request, rule, out); break;
    case Match::kNone: out.fresh = total; break;
  }
  remember(request, reach);
  return out;
}

}  // namespace payonce::prompt_cache
