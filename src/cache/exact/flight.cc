#include "cache/exact/flight.h"

#include <algorithm>
#include <utility>

namespace payonce::cache {

std::optional<Flight::ReaderId> Flight::join(Wake wake) {
  const std::lock_guard lock(mutex_);
  if (state_ == State::kFailed || abandoned_ || dropped_ > 0) return std::nullopt;
  const ReaderId id = next_reader_++;
  readers_[id].wake = std::move(wake);
  return id;
}

void Flight::leave(ReaderId reader) {
  Wake abandon, resume;
  {
    const std::lock_guard lock(mutex_);
    if (readers_.erase(reader) == 0) return;
    drop_read_chunks();
    if (readers_.empty() && !over()) {
      abandoned_ = true;
      abandon = std::exchange(abandon_, nullptr);
    } else if (lag_bytes() <= options_.lag_limit_bytes) {
      resume = std::exchange(resume_, nullptr);
    }
  }
  if (abandon) abandon();
  if (resume) resume();
}

Flight::Progress Flight::take(ReaderId reader) {
  Progress out;
  Wake resume;
  {
    const std::lock_guard lock(mutex_);
    out.state = state_;
    out.head = head_;
    out.error = error_;
    out.stored = stored_;
    const auto found = readers_.find(reader);
    if (found == readers_.end()) return out;
    Reader& at = found->second;
    out.chunks.reserve(dropped_ + chunks_.size() - at.next);
    for (; at.next < dropped_ + chunks_.size(); ++at.next) {
      out.chunks.push_back(chunks_[at.next - dropped_].bytes);
      at.taken_bytes += out.chunks.back().size();
    }
    drop_read_chunks();
    if (resume_ && lag_bytes() <= options_.lag_limit_bytes / 2) resume = std::exchange(resume_, nullptr);
  }
  if (resume) resume();
  return out;
}

// Bytes that wait for a reader. As long as all are kept anyway, a slow reader costs nothing and the fastest one sets
// the pace, so nobody holds up who shares the flight; after that, the slowest.
uint64_t Flight::lag_bytes() const {
  if (readers_.empty()) return 0;
  uint64_t slowest = total_bytes_, fastest = 0;
  for (const auto& [id, reader] : readers_) {
    slowest = std::min(slowest, reader.taken_bytes);
    fastest = std::max(fastest, reader.taken_bytes);
  }
  return total_bytes_ - (keep_ ? fastest : slowest);
}

void Flight::drop_read_chunks() {
  if (keep_ || readers_.empty()) return;
  size_t read = dropped_ + chunks_.size();
  for (const auto& [id, reader] : readers_) read = std::min(read, reader.next);
  chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(read - dropped_));
  dropped_ = read;
}

// Most flights have one reader: its wake is copied without a list.
void Flight::wake() {
  Wake first;
  std::vector<Wake> more;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, reader] : readers_) {
      if (!first)
        first = reader.wake;
      else
        more.push_back(reader.wake);
    }
  }
  if (first) first();
  for (const Wake& one : more) one();
}

void Flight::head(net::ResponseHead head) {
  {
    const std::lock_guard lock(mutex_);
    head_ = std::make_shared<const net::ResponseHead>(std::move(head));
    state_ = State::kStreaming;
  }
  wake();
}

void Flight::append(base::Bytes chunk, uint32_t at_ms) {
  const std::lock_guard lock(mutex_);
  total_bytes_ += chunk.size();
  chunks_.push_back({std::move(chunk), at_ms});
  if (total_bytes_ > options_.keep_limit_bytes) {
    keep_ = false;
    stored_ = false;
  }
}

void Flight::mark_stored(bool stored) {
  const std::lock_guard lock(mutex_);
  stored_ = stored && keep_;
}

void Flight::finish() {
  {
    const std::lock_guard lock(mutex_);
    if (over()) return;
    state_ = State::kDone;
  }
  wake();
}

void Flight::fail(base::Error error) {
  {
    const std::lock_guard lock(mutex_);
    if (over()) return;
    state_ = State::kFailed;
    error_ = std::move(error);
  }
  wake();
}

bool Flight::writer_should_pause() const {
  const std::lock_guard lock(mutex_);
  return lag_bytes() > options_.lag_limit_bytes;
}

void Flight::on_writer_resume(Wake wake) {
  bool now = false;
  {
    const std::lock_guard lock(mutex_);
    now = lag_bytes() <= options_.lag_limit_bytes / 2;
    if (!now) resume_ = wake;
  }
  if (now) wake();
}

void Flight::on_abandoned(Wake wake) {
  bool now = false;
  {
    const std::lock_guard lock(mutex_);
    now = abandoned_;
    if (!now) abandon_ = wake;
  }
  if (now) wake();
}

uint64_t Flight::size_bytes() const {
  const std::lock_guard lock(mutex_);
  return total_bytes_;
}

bool Flight::recordable() const {
  const std::lock_guard lock(mutex_);
  return keep_ && dropped_ == 0;
}

Flight::Recording Flight::recording() const {
  const std::lock_guard lock(mutex_);
  Recording out;
  if (head_) out.head = *head_;
  out.body.reserve(total_bytes_);
  for (const Chunk& chunk : chunks_) {
    out.pace_ms.push_back(chunk.at_ms);
    out.pace_offset.push_back(static_cast<uint32_t>(out.body.size()));
    out.body.append(chunk.bytes.view());
  }
  return out;
}

FlightTable::Joined FlightTable::join_or_lead(const std::string& key, const Flight::Options& options,
                                              Flight::Wake wake) {
  const std::lock_guard lock(mutex_);
  if (const auto found = flights_.find(key); found != flights_.end())
    if (const auto reader = found->second->join(wake)) return {found->second, *reader, false};
  auto flight = std::make_shared<Flight>(options);
  const Flight::ReaderId reader = flight->join(std::move(wake)).value();
  flights_[key] = flight;
  return {std::move(flight), reader, true};
}

void FlightTable::remove(const std::string& key, const Flight* flight) {
  const std::lock_guard lock(mutex_);
  if (const auto found = flights_.find(key); found != flights_.end() && found->second.get() == flight)
    flights_.erase(found);
}

size_t FlightTable::size() const {
  const std::lock_guard lock(mutex_);
  return flights_.size();
}

}  // namespace payonce::cache
