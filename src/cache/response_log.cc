#include "cache/response_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace payonce::cache {

base::Result<ResponseLog::Opened> ResponseLog::open(base::Env& env, Options options) {
  std::unique_ptr<ResponseLog> log(new ResponseLog(env, std::move(options)));
  const std::string& directory = log->options_.directory;
  PAYONCE_TRY(const std::vector<std::string> names, env.list(directory));
  std::vector<uint64_t> ids;
  for (const std::string& name : names) {
    if (const uint64_t id = Segment::id_of(name); id != 0) ids.push_back(id);
  }
  std::sort(ids.rbegin(), ids.rend());
  if (!ids.empty()) log->next_id_ = ids.front() + 1;

  uint64_t faults = 0;
  std::vector<uint64_t> unreadable;  // newest first
  for (const uint64_t id : ids) {
    if (faults > 0) {
      unreadable.push_back(id);
      continue;
    }
    auto segment = Segment::open(env, directory, id);
    if (segment) {
      log->next_id_ = std::max(log->next_id_, (*segment)->session() + 1);
      log->segments_.emplace(id, std::move(*segment));
      continue;
    }
    if (segment.error().code == base::Code::kForbidden)
      return base::fail(segment.error());  // sealed: a key is missing
    unreadable.push_back(id);
    const auto content = base::read_file(env, directory + "/" + Segment::file_name(id));
    if (content && content->size() <= kSegmentHeaderBytes) continue;  // torn when it was made: nothing was in it
    // It may have held a purge of what stands in older ones: they go with it.
    base::log_warn("response log: segment {} and all older ones are dropped: {}", id, segment.error().message);
    ++faults;
  }
  for (auto id = unreadable.rbegin(); id != unreadable.rend(); ++id) {
    PAYONCE_CHECK_OK(env.remove(directory + "/" + Segment::file_name(*id)));
    PAYONCE_CHECK_OK(env.sync_directory(directory));
  }
  log->session_ = log->next_id_;
  return Opened{.log = std::move(log), .faults = faults};
}

base::Result<std::shared_ptr<Segment>> ResponseLog::prepare() {
  if (current_ && current_->bytes() < options_.segment_bytes && current_->records() < options_.segment_records)
    return current_;
  if (current_) {
    PAYONCE_CHECK_OK(sync());
    current_ = nullptr;
  }
  const uint64_t id = next_id_++;
  auto made = Segment::create(env_, options_.directory, id, session_);
  if (!made) {
    (void)env_.remove(options_.directory + "/" + Segment::file_name(id));  // may not even exist
    return base::fail(std::move(made.error()));
  }
  current_ = *made;
  const std::lock_guard lock(mutex_);
  segments_.emplace(id, current_);
  return current_;
}

base::Result<Location> ResponseLog::append(std::string_view record) {
  PAYONCE_TRY(const std::shared_ptr<Segment> segment, prepare());
  auto offset = segment->append(record);
  if (!offset) {
    give_up_current();
    return base::fail(std::move(offset.error()));
  }
  dirty_ = true;
  return Location{.segment = segment->id(), .offset = *offset, .size = static_cast<uint32_t>(record.size())};
}

base::Status ResponseLog::sync() {
  if (!dirty_) return {};
  auto synced = current_->sync();
  if (!synced) give_up_current();  // what the kernel dropped it may report once only: append no more behind it
  dirty_ = false;
  return synced;
}

void ResponseLog::give_up_current() {
  dirty_ = false;
  if (current_->records() == 0 && env_.remove(options_.directory + "/" + Segment::file_name(current_->id()))) {
    const std::lock_guard lock(mutex_);
    segments_.erase(current_->id());
  }
  current_ = nullptr;
}

uint64_t ResponseLog::bytes() const {
  const std::lock_guard lock(mutex_);
  uint64_t sum = 0;
  for (const auto& [id, segment] : segments_) sum += segment->bytes();
  return sum;
}

size_t ResponseLog::segments() const {
  const std::lock_guard lock(mutex_);
  return segments_.size();
}

uint64_t ResponseLog::oldest() const {
  const std::lock_guard lock(mutex_);
  return segments_.empty() ? 0 : segments_.begin()->first;
}

uint64_t ResponseLog::newest() const {
  const std::lock_guard lock(mutex_);
  return segments_.empty() ? 0 : segments_.rbegin()->first;
}

bool ResponseLog::oldest_is_current() const { return current_ && oldest() == current_->id(); }

base::Status ResponseLog::remove_until(uint64_t id) {
  for (uint64_t next = oldest(); next != 0 && next <= id; next = oldest()) {
    // One deletion at a time is not yet on the disk: after a crash no older segment stands without its younger ones.
    if (directory_dirty_) PAYONCE_CHECK_OK(env_.sync_directory(options_.directory));
    directory_dirty_ = true;
    const auto removed = env_.remove(options_.directory + "/" + Segment::file_name(next));
    if (!removed && removed.error().code != base::Code::kNotFound) return removed;
    if (current_ && current_->id() == next) {
      current_ = nullptr;
      dirty_ = false;
    }
    decltype(segments_)::node_type closed;  // after the lock: closing the file frees its blocks
    const std::lock_guard lock(mutex_);
    closed = segments_.extract(next);
  }
  if (directory_dirty_) PAYONCE_CHECK_OK(env_.sync_directory(options_.directory));
  directory_dirty_ = false;
  return {};
}

std::shared_ptr<Segment> ResponseLog::segment(uint64_t id) const {
  const std::lock_guard lock(mutex_);
  const auto at = segments_.find(id);
  return at == segments_.end() ? nullptr : at->second;
}

std::vector<std::shared_ptr<Segment>> ResponseLog::newest_first() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Segment>> out;
  for (auto at = segments_.rbegin(); at != segments_.rend(); ++at) out.push_back(at->second);
  return out;
}

}  // namespace payonce::cache
