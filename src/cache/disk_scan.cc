// How the index is built from the log at the start: segment by segment, the newest first, so that a purge is known
// before anything that it may cover is let in. A segment's records are let in together, once all of it was read.
#include <algorithm>
#include <set>
#include <utility>

#include "base/log.h"
#include "cache/disk_tier.h"

namespace payonce::cache {

struct DiskTier::Scan {
  // Each record names the last purge before it. One that is named but nowhere found was lost to damage, and whatever
  // is older than it may have been purged by it.
  std::set<uint64_t> seen_purges;
  std::set<uint64_t> named_purges;

  uint64_t lost_purge() const {
    for (auto named = named_purges.rbegin(); named != named_purges.rend(); ++named) {
      if (!seen_purges.contains(*named)) return *named;
    }
    return 0;
  }
  uint64_t last_purge() const {
    return std::max(seen_purges.empty() ? 0 : *seen_purges.rbegin(),
                    named_purges.empty() ? 0 : *named_purges.rbegin());
  }
};

void DiskTier::scan() {
  const std::lock_guard scanning(scan_mutex_);
  if (closing_) return;
  Scan scan;
  for (const std::shared_ptr<Segment>& segment : log_->newest_first()) {
    if (closing_) return;
    if (segment->session() == log_->session()) continue;  // ours: its entries came in as they were written
    if (const auto scanned = scan_segment(*segment, scan); !scanned) {
      base::log_warn("response log: the scan ends at segment {}: {}", segment->id(), scanned.error().message);
      tally_.fault();
      break;  // older segments without the purges of this one must not come in
    }
    // Deleted meanwhile: what was let in from it leads nowhere.
    if (segment->id() < log_->oldest()) tally_.capacity(index_.drop_segments_until(segment->id()));
  }
  index_.end_scan();
  scanned_ = true;
  base::log_info("response log: {} entries in {} segments, {} bytes", index_.entries(), log_->segments(),
                 log_->bytes());
  {
    const std::lock_guard lock(writer_mutex_);
    last_purge_ = std::max(last_purge_, scan.last_purge());
    if (!closing_) tidy();
  }
  scan_end_.open();
}

base::Status DiskTier::scan_segment(Segment& segment, Scan& scan) {
  std::vector<std::pair<std::string, Slot>> puts;
  const auto visit = [&](const RecordHeader& header, std::string_view front, uint64_t offset) {
    if (header.last_purge > 0) scan.named_purges.insert(header.last_purge);
    if (header.type == RecordType::kPurge) {
      if (const auto purge = decode_purge(header, front, segment.seed())) {
        scan.seen_purges.insert(header.sequence);
        index_.purge(*purge, nullptr);
      } else {
        tally_.fault();  // torn, or lost: if it was ever synced, the records after it name it
      }
      return !closing_.load();
    }
    const auto labels = decode_labels(header, front, segment.seed());
    if (!labels) {
      tally_.fault();
      tally_.corrupt(1);
      return !closing_.load();
    }
    const auto size = static_cast<uint32_t>(header.total_bytes());
    Slot slot{.sequence = header.sequence,
              .location = {.segment = segment.id(), .offset = offset, .size = size},
              .body_bytes = labels->body_size,
              .created_ms = header.created_ms,
              .expires_ms = header.expires_ms,
              .labels = index_.intern(labels->scope, labels->versions, labels->model)};
    puts.emplace_back(labels->key, std::move(slot));
    return !closing_.load();
  };
  PAYONCE_TRY(const uint64_t damaged, segment.scan(visit));
  if (damaged > 0) {
    base::log_warn("response log: segment {} has {} damaged stretches", segment.id(), damaged);
    tally_.fault(damaged);
  }
  index_.set_floor(scan.lost_purge());
  for (auto& [key, slot] : puts) index_.put(key, std::move(slot));
  return {};
}

}  // namespace payonce::cache
