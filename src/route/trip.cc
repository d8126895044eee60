#include <algorithm>
#include <utility>

#include "route/place.h"
#include "route/placement.h"

namespace payonce::route {
namespace {

constexpr double kSteady = 1.0 / 8;         // weight of the newest in what is learnt of an upstream
constexpr double kSteadyOutput = 1.0 / 32;  // and of the length of answers
constexpr double kTelling_tokens = 256;     // what is shorter teaches nothing
constexpr double kLost = 0.5;               // a smaller share of what was expected: it was evicted

}  // namespace

Trip::Trip(std::shared_ptr<Placement> placement, Asked asked, std::vector<Stop> stops, Moved moved)
    : placement_(std::move(placement)),
      stops_(std::move(stops)),
      chain_(std::move(asked.chain)),
      stream_(asked.stream),
      moved_(moved) {
  for (const Stop& stop : stops_) order_.push_back(stop.candidate.upstream);
}

Trip::~Trip() {
  const std::lock_guard lock(placement_->mutex_);
  end();
  Stop& first = stops_.front();
  if (!answered_) first.place->memory.forget(chain_, first.candidate.account, first.found.links);
}

int64_t Trip::expected_tokens() const { return stops_[current_].found.tokens; }

double Trip::missing_tokens(const Stop& stop) const {
  return chain_.empty() ? 0 : std::max(0.0, chain_.back().tokens - stop.cached_tokens);
}

void Trip::began(const UpstreamPtr& upstream, int64_t now_us) {
  const std::lock_guard lock(placement_->mutex_);
  end();
  const auto at = std::find(order_.begin(), order_.end(), upstream);
  if (at == order_.end()) return;
  current_ = static_cast<size_t>(at - order_.begin());
  Place& place = *stops_[current_].place;
  running_ = true;
  waiting_tokens_ = missing_tokens(stops_[current_]);
  place.in_flight += 1;
  place.queue_tokens += waiting_tokens_;
  place.in_flight_gauge.set(static_cast<double>(place.in_flight));
  queue_tokens_ = place.queue_tokens;
  began_us_ = now_us;
}

void Trip::answered(int64_t now_ms, int64_t now_us) {
  const std::lock_guard lock(placement_->mutex_);
  if (!running_ || answered_) return;
  answered_ = true;
  Stop& stop = stops_[current_];
  Place& place = *stop.place;
  ++place.requests;
  if (stream_ && queue_tokens_ >= kTelling_tokens) {
    const double sample_us = static_cast<double>(now_us - began_us_) / queue_tokens_;
    place.us_per_token += place.us_per_token > 0 ? kSteady * (sample_us - place.us_per_token) : sample_us;
  }
  place.queue_tokens -= std::exchange(waiting_tokens_, 0);
  place.memory.use(chain_, stop.candidate.account, PrefixMemory::State::kServed, now_ms);
  if (current_ == 0) return;
  Stop& first = stops_.front();
  first.place->memory.forget(chain_, first.candidate.account, first.found.links);
  placement_->count(Moved::kSpilled);
}

void Trip::ended() {
  const std::lock_guard lock(placement_->mutex_);
  end();
}

void Trip::end() {
  if (!std::exchange(running_, false)) return;
  Place& place = *stops_[current_].place;
  place.in_flight -= 1;
  place.queue_tokens = place.in_flight == 0 ? 0 : std::max(0.0, place.queue_tokens - waiting_tokens_);
  place.in_flight_gauge.set(static_cast<double>(place.in_flight));
  waiting_tokens_ = 0;
}

void Trip::billed(const llm::Usage& usage) {
  const std::lock_guard lock(placement_->mutex_);
  if (!answered_ || !usage.known) return;
  double& output = placement_->output_tokens_;
  output += kSteadyOutput * (static_cast<double>(usage.output) - output);
  const Stop& stop = stops_[current_];
  if (!usage.read_known || !stop.found.served || chain_.back().tokens == 0) return;
  // Our counts are estimates: what was expected is a share of what was billed.
  const double expected = static_cast<double>(usage.input()) * stop.found.tokens / chain_.back().tokens;
  if (expected < kTelling_tokens) return;
  const double read = std::min(static_cast<double>(usage.read), expected);
  Place& place = *stop.place;
  place.expected += static_cast<uint64_t>(expected);
  place.read += static_cast<uint64_t>(read);
  place.kept += kSteady * (read / expected - place.kept);
  if (stop.candidate.told && stop.candidate.told->complete) return;  // it tells itself what it lost
  if (read < kLost * expected) {
    place.memory.forget_not_used_after(stop.found.used_ms);
    place.capacity_tokens = static_cast<double>(place.memory.tokens());
  } else {
    place.capacity_tokens *= Placement::kCapacityGrowth;
  }
  if (place.capacity_tokens > 0) place.memory.set_capacity(static_cast<uint64_t>(place.capacity_tokens));
}

}  // namespace payonce::route
