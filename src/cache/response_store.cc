#include "cache/response_store.h"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/log.h"
#include "cache/disk_tier.h"
#include "cache/memory_tier.h"
#include "cache/purge.h"
#include "cache/tally.h"

namespace payonce::cache {
namespace {

// The order of listings.
bool comes_before(int64_t created_a, std::string_view key_a, int64_t created_b, std::string_view key_b) {
  return created_a != created_b ? created_a > created_b : key_a < key_b;
}
bool newer(const EntryInfo& a, const EntryInfo& b) { return comes_before(a.created_ms, a.key, b.created_ms, b.key); }

// Keeps the newest `limit` of all that is added and lies behind `after`.
class Newest {
 public:
  Newest(size_t limit, const std::optional<ListPosition>& after) : limit_(limit), after_(after) {}
  // Ask first: most need not be copied at all.
  bool wants(int64_t created_ms, std::string_view key) const {
    if (after_ && !comes_before(after_->created_ms, after_->key, created_ms, key)) return false;
    return !last_ || comes_before(created_ms, key, last_->created_ms, last_->key);
  }
  void add(EntryInfo info) {
    infos_.push_back(std::move(info));
    if (infos_.size() / 2 > limit_) cut();
  }
  std::vector<EntryInfo> take() {
    cut();
    std::sort(infos_.begin(), infos_.end(), newer);
    return std::move(infos_);
  }

 private:
  void cut() {
    if (limit_ == 0 || infos_.size() <= limit_) return infos_.resize(std::min(infos_.size(), limit_));
    const auto last = infos_.begin() + static_cast<std::ptrdiff_t>(limit_ - 1);
    std::nth_element(infos_.begin(), last, infos_.end(), newer);
    last_ = {.created_ms = last->created_ms, .key = last->key};
    infos_.resize(limit_);
  }
  const size_t limit_;
  const std::optional<ListPosition>& after_;
  std::optional<ListPosition> last_;  // nothing behind it is among the newest
  std::vector<EntryInfo> infos_;
};

class TieredStore final : public ResponseStore {
 public:
  TieredStore(Options options, const base::Clock& clock, base::Metrics& metrics)
      : options_(std::move(options)),
        clock_(clock),
        memory_({.capacity_bytes = options_.memory_bytes,
                 .entry_limit_bytes = options_.entry_limit_bytes,
                 .shards = options_.shards}),
        tally_(metrics),
        memory_entries_(metrics.gauge("payonce_entries", {{"layer", "exact"}})),
        memory_bytes_(metrics.gauge("payonce_bytes", {{"layer", "exact"}})),
        disk_entries_(metrics.gauge("payonce_entries", {{"layer", "exact_disk"}})),
        disk_bytes_(metrics.gauge("payonce_bytes", {{"layer", "exact_disk"}})) {}

  ~TieredStore() override {
    if (disk_) disk_->close();
  }

  void open_disk(base::Env& env, base::WorkerPool& pool) {
    auto disk = DiskTier::open({.directory = options_.directory + "/responses", .disk_bytes = options_.disk_bytes},
                               env, clock_, pool, tally_);
    if (disk) {
      disk_ = std::move(*disk);
      return;
    }
    base::log_warn("response store: running without its disk tier: {}", disk.error().message);
    tally_.fault();
  }

  Found find(std::string_view key) override {
    MemoryTier::Look look = memory_.find(key, clock_.unix_ms());
    if (look.entry) return {.entry = std::move(look.entry)};
    if (look.expired) tally_.expired(1);
    const DiskTier::Where where = disk_ ? disk_->find(key) : DiskTier::Where::kNowhere;
    if (where == DiskTier::Where::kOnDisk) return {.entry = nullptr, .reason = MissReason::kOnDisk};
    const bool expired = look.expired || where == DiskTier::Where::kExpired;
    return {.entry = nullptr, .reason = expired ? MissReason::kExpired : MissReason::kCold};
  }

  EntryPtr load(std::string_view key) override {
    // Another caller may have promoted it since ours looked.
    if (MemoryTier::Look look = memory_.find(key, clock_.unix_ms()); look.entry) return look.entry;
    if (!disk_) return nullptr;
    const uint64_t ticket = memory_.ticket(key);
    EntryPtr entry = disk_->load(key);
    if (entry) memory_.promote(entry, ticket);
    measure();
    return entry;
  }

  void insert(EntryPtr entry) override {
    if (entry->body.size() > options_.entry_limit_bytes) {
      (void)erase(entry->key);  // what it would have replaced is out of date all the same
      return;
    }
    memory_.insert(entry);
    if (disk_) disk_->insert(std::move(entry));
    measure();
  }

  bool erase(std::string_view key) override {
    // The disk first, here and in purge(): see MemoryTier::ticket().
    const bool on_disk = disk_ && disk_->erase(std::string(key));
    const bool in_memory = memory_.erase(key);
    if (on_disk || in_memory) tally_.purged(1);
    measure();
    return on_disk || in_memory;
  }

  uint64_t purge(const PurgeFilter& filter) override {
    const Purge purge = Purge::from(filter, clock_.unix_ms());
    std::unordered_set<std::string> removed;
    uint64_t count = disk_ ? disk_->purge(purge, removed) : 0;
    memory_.erase_if([&](const Entry& entry) {
      if (!matches(purge, Traits::of(entry))) return false;
      count += !removed.contains(entry.key);
      return true;
    });
    tally_.purged(count);
    measure();
    return count;
  }

  std::vector<EntryInfo> list(const PurgeFilter& filter, size_t limit,
                              const std::optional<ListPosition>& after) override {
    const int64_t now_ms = clock_.unix_ms();
    const Purge wanted = Purge::from(filter, now_ms);
    Newest newest(limit, after);  // of each tier; an entry in both counts as one
    std::unordered_map<std::string, EntryInfo> in_memory;
    for (EntryInfo& info : list_memory(wanted, now_ms, limit, after)) in_memory.emplace(info.key, std::move(info));
    for (EntryInfo& info : list_disk(wanted, now_ms, limit, after)) {
      if (const auto at = in_memory.find(info.key); at != in_memory.end()) {
        info.in_memory = true;
        info.hits += at->second.hits;
        in_memory.erase(at);
      }
      newest.add(std::move(info));
    }
    for (auto& [key, info] : in_memory) newest.add(std::move(info));
    return newest.take();
  }

  Stats stats() const override {
    return {.memory_entries = memory_.entries(),
            .memory_bytes = memory_.bytes(),
            .disk_entries = disk_ ? disk_->index().entries() : 0,
            .disk_bytes = disk_ ? disk_->bytes() : 0,
            .faults = tally_.faults(),
            .evictions = tally_.evictions()};
  }

  void when_scanned(std::function<void()> work) override {
    if (disk_)
      disk_->when_scanned(std::move(work));
    else
      work();
  }

  void write_out() override {
    if (disk_) disk_->write_out();
  }

  void flush() override {
    if (disk_) disk_->flush();
    measure();
  }

 private:
  std::vector<EntryInfo> list_memory(const Purge& wanted, int64_t now_ms, size_t limit,
                                     const std::optional<ListPosition>& after) const {
    Newest newest(limit, after);
    memory_.for_each([&](const EntryPtr& entry, uint64_t hits) {
      if (entry->expires_ms <= now_ms || !newest.wants(entry->created_ms, entry->key) ||
          !matches(wanted, Traits::of(*entry)))
        return;
      EntryInfo info = info_of(*entry);
      info.hits = hits;
      newest.add(std::move(info));
    });
    return newest.take();
  }

  std::vector<EntryInfo> list_disk(const Purge& wanted, int64_t now_ms, size_t limit,
                                   const std::optional<ListPosition>& after) const {
    Newest newest(limit, after);
    if (!disk_) return {};
    disk_->index().for_each([&](const std::string& key, const Slot& slot) {
      if (!slot.on_disk() || slot.expires_ms <= now_ms || !newest.wants(slot.created_ms, key) ||
          !matches(wanted, slot.traits(key)))
        return;
      newest.add({.key = key,
                  .scope = slot.labels->scope,
                  .versions = slot.labels->versions,
                  .model = slot.labels->model,
                  .size_bytes = slot.body_bytes,
                  .created_ms = slot.created_ms,
                  .expires_ms = slot.expires_ms,
                  .hits = slot.hits,
                  .on_disk = true});
    });
    return newest.take();
  }

  void measure() {
    tally_.capacity(memory_.take_evicted());
    memory_entries_.set(static_cast<double>(memory_.entries()));
    memory_bytes_.set(static_cast<double>(memory_.bytes()));
    if (!disk_) return;
    disk_entries_.set(static_cast<double>(disk_->index().entries()));
    disk_bytes_.set(static_cast<double>(disk_->bytes()));
  }

  const Options options_;
  const base::Clock& clock_;
  MemoryTier memory_;
  Tally tally_;
  const base::Gauge memory_entries_, memory_bytes_, disk_entries_, disk_bytes_;
  std::shared_ptr<DiskTier> disk_;  // null: memory only
};

}  // namespace

EntryInfo info_of(const Entry& entry) {
  return {.key = entry.key,
          .scope = entry.scope,
          .versions = entry.versions,
          .model = entry.model,
          .size_bytes = entry.body.size(),
          .created_ms = entry.created_ms,
          .expires_ms = entry.expires_ms,
          .in_memory = true};
}

std::unique_ptr<ResponseStore> ResponseStore::open(Options options, base::Env& env, const base::Clock& clock,
                                                   base::WorkerPool& pool, base::Metrics& metrics) {
  const bool with_disk = !options.directory.empty() && options.disk_bytes > 0;
  auto store = std::make_unique<TieredStore>(std::move(options), clock, metrics);
  if (with_disk) store->open_disk(env, pool);
  return store;
}

}  // namespace payonce::cache
