#include "kv/block_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"

namespace payonce::kv {

using base::Code;
using base::fail;

base::Result<std::unique_ptr<BlockLog>> BlockLog::open(base::Env& env, const base::Clock& clock, Options options) {
  std::unique_ptr<BlockLog> log(new BlockLog(env, clock, std::move(options)));
  PAYONCE_TRY(const std::vector<std::string> names, env.list(log->options_.directory));
  for (const std::string& name : names) {
    const uint64_t id = Segment::id_of(name);
    if (id == 0) continue;
    auto segment = Segment::open(env, log->options_.directory, id);
    if (segment) {
      log->segments_.emplace(id, std::move(*segment));
      log->next_id_ = id + 1;  // names are sorted
      continue;
    }
    if (segment.error().code != Code::kCorrupt) return fail(std::move(segment.error()));
    base::log_info("KV block log: segment {} is of another format or damaged, and is removed", id);
    PAYONCE_CHECK_OK(env.remove(log->path_of(id)));
  }
  return log;
}

uint64_t BlockLog::scan(const Visit& visit) {
  uint64_t damaged = 0;
  std::vector<std::shared_ptr<Segment>> own;
  for (const auto& [id, segment] : segments_) {  // nobody else is here yet
    if (segment->fingerprint() == options_.fingerprint) own.push_back(segment);
  }
  for (const std::shared_ptr<Segment>& segment : own) {
    uint64_t records = 0;
    const auto scanned = segment->scan([&](const RecordHeader& header, uint64_t offset) {
      ++records;
      visit(header, {.segment = segment->id(), .offset = offset});
    });
    if (!scanned) base::log_warn("KV block log: segment {}: {}", segment->id(), scanned.error().message);
    damaged += scanned ? *scanned : 1;
    if (scanned && records == 0 && env_.remove(path_of(segment->id()))) forget(segment->id());
  }
  return damaged;
}

base::Status BlockLog::prepare(uint64_t record_bytes) {
  if (current_ && (current_->bytes() == kAlignBytes || current_->bytes() + record_bytes <= options_.segment_bytes))
    return {};
  if (current_) {
    PAYONCE_CHECK_OK(sync());
    current_ = nullptr;
  }
  const uint64_t id = next_id_++;
  auto made = Segment::create(env_, options_.directory, id, options_.fingerprint);
  if (!made) {
    (void)env_.remove(path_of(id));  // may not even exist
    return fail(std::move(made.error()));
  }
  current_ = std::move(*made);
  const std::lock_guard lock(mutex_);
  segments_.emplace(id, current_);
  return {};
}

base::Result<Place> BlockLog::append(const Block& block) {
  const RecordHeader sizes{.payload_bytes = static_cast<uint32_t>(block.payload.size())};
  PAYONCE_CHECK_OK(prepare(sizes.stride_bytes()));
  encode_record(block, current_->seed(), buffer_);
  is_dirty_ = true;
  const auto offset = current_->append(buffer_);
  if (offset) return Place{.segment = current_->id(), .offset = *offset};
  const uint64_t id = current_->id();
  const bool is_empty = current_->bytes() == kAlignBytes;
  current_ = nullptr;
  if (is_empty && env_.remove(path_of(id))) forget(id);
  return fail(offset.error());
}

base::Status BlockLog::sync() {
  if (!current_ || !std::exchange(is_dirty_, false)) return {};
  auto synced = current_->sync();
  if (synced) synced = env_.sync_directory(options_.directory);
  if (!synced) current_ = nullptr;  // what the kernel dropped it may report once only: append no more behind it
  return synced;
}

base::Result<BlockLog::Loaded> BlockLog::read(const Place& place, const BlockHash& hash) const {
  std::shared_ptr<Segment> segment;
  {
    const std::lock_guard lock(mutex_);
    const auto at = segments_.find(place.segment);
    if (at == segments_.end()) return fail(Code::kNotFound, "its segment was dropped");
    segment = at->second;
  }
  const int64_t start_us = clock_.monotonic_us();
  PAYONCE_TRY(const RecordHeader header, segment->read_header(place.offset));
  if (header.hash != hash) return fail(Code::kCorrupt, "record: of another block");
  const int64_t header_us = clock_.monotonic_us();
  PAYONCE_TRY(BlockPtr block, segment->read_block(place.offset, header));
  return Loaded{
      .block = std::move(block), .latency_us = header_us - start_us, .payload_us = clock_.monotonic_us() - header_us};
}

uint64_t BlockLog::bytes() const {
  const std::lock_guard lock(mutex_);
  uint64_t sum = 0;
  for (const auto& [id, segment] : segments_) sum += segment->bytes();
  return sum;
}

size_t BlockLog::segments() const {
  const std::lock_guard lock(mutex_);
  return segments_.size();
}

uint64_t BlockLog::oldest() const {
  const std::lock_guard lock(mutex_);
  return segments_.empty() ? 0 : segments_.begin()->first;
}

uint64_t BlockLog::bytes_of(uint64_t segment) const {
  const std::lock_guard lock(mutex_);
  const auto at = segments_.find(segment);
  return at == segments_.end() ? 0 : at->second->bytes();
}

uint64_t BlockLog::close_oldest() {
  const uint64_t id = oldest();
  if (current_ && current_->id() == id) current_ = nullptr;
  return id;
}

base::Status BlockLog::remove_oldest() {
  const uint64_t id = close_oldest();
  if (id == 0) return {};
  auto removed = env_.remove(path_of(id));
  if (!removed && removed.error().code != Code::kNotFound) return removed;
  forget(id);
  return {};
}

void BlockLog::forget(uint64_t id) {
  decltype(segments_)::node_type closed;  // after the lock: closing the file may free its blocks
  const std::lock_guard lock(mutex_);
  closed = segments_.extract(id);
}

}  // namespace payonce::kv
