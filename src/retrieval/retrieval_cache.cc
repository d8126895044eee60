#include "retrieval/retrieval_cache.h"

#include <cmath>
#include <optional>
#include <utility>

namespace payonce::retrieval {
namespace {

constexpr size_t kRowOverheadBytes = 600;  // of maps, index rows and group, about

// Of length 1, as the index wants it; nothing for a vector without direction.
std::optional<std::vector<float>> unit(const std::vector<float>& vector) {
  double square = 0;
  for (const float value : vector) square += static_cast<double>(value) * static_cast<double>(value);
  if (!(square > 0) || !std::isfinite(square)) return std::nullopt;
  std::vector<float> out(vector.size());
  const double scale = 1 / std::sqrt(square);
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(static_cast<double>(vector[i]) * scale);
  return out;
}

void add_to(std::unique_ptr<semantic::VectorIndex>& index, size_t& dimensions, uint64_t number,
            const std::vector<float>& vector) {
  const auto direction = unit(vector);
  if (!direction) return;
  if (!index) {
    dimensions = vector.size();
    index = std::make_unique<semantic::VectorIndex>(dimensions);
  }
  if (vector.size() == dimensions) index->add(number, *direction);
}

}  // namespace

size_t StoredList::bytes() const {
  return body.size() + key.size() + 5 * (vector.size() + meaning.vector.size()) +
         4 * (meaning.token_vectors.size() + meaning.token_ids.size()) + (read ? read->bytes() : 0) +
         kRowOverheadBytes;
}

RetrievalCache::RetrievalCache(uint64_t memory_bytes, base::Metrics& metrics)
    : memory_bytes_(memory_bytes),
      capacity_(metrics.counter("payonce_evictions_total", {{"layer", "retrieval"}, {"reason", "capacity"}})),
      expired_(metrics.counter("payonce_evictions_total", {{"layer", "retrieval"}, {"reason", "expired"}})),
      purged_(metrics.counter("payonce_evictions_total", {{"layer", "retrieval"}, {"reason", "purged"}})),
      entries_gauge_(metrics.gauge("payonce_entries", {{"layer", "retrieval"}})),
      bytes_gauge_(metrics.gauge("payonce_bytes", {{"layer", "retrieval"}})) {}

RetrievalCache::Found RetrievalCache::find(const GroupKey& group, const std::string& key, int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  const auto at = groups_.find(group.id);
  if (at == groups_.end()) return {};
  if (at->second.epoch < group.epoch) {
    evicted(purged_, at->second.rows.size());
    clear(at->second);
    groups_.erase(at);
    show();
    return {.why = Miss::kEpoch};
  }
  const auto row = at->second.rows.find(key);
  if (row == at->second.rows.end() || at->second.epoch != group.epoch) return {};
  if (row->second.list->expires_ms <= now_ms) {
    remove(at, key);
    evicted(expired_, 1);
    show();
    return {.why = Miss::kExpired};
  }
  uses_.splice(uses_.begin(), uses_, row->second.use);
  return {.list = row->second.list};
}

std::vector<RetrievalCache::Near> RetrievalCache::nearest(const Group& group, const semantic::VectorIndex* index,
                                                          const std::vector<float>& vector, size_t count,
                                                          int64_t now_ms) const {
  std::vector<Near> out;
  const auto direction = unit(vector);
  if (index == nullptr || !direction) return out;
  for (const semantic::Neighbour& neighbour : index->nearest(*direction, count)) {
    const StoredListPtr& list = group.rows.at(group.keys.at(neighbour.id)).list;
    if (list->expires_ms > now_ms) out.push_back({.list = list, .cosine = neighbour.similarity});
  }
  return out;
}

std::vector<RetrievalCache::Near> RetrievalCache::near_in_meaning(const GroupKey& group,
                                                                  const std::vector<float>& meaning, size_t count,
                                                                  int64_t now_ms) const {
  const std::lock_guard lock(mutex_);
  const auto at = groups_.find(group.id);
  if (at == groups_.end() || at->second.epoch != group.epoch || meaning.size() != at->second.meaning_dimensions)
    return {};
  return nearest(at->second, at->second.meanings.get(), meaning, count, now_ms);
}

std::vector<RetrievalCache::Near> RetrievalCache::near(const GroupKey& group, const std::vector<float>& vector,
                                                       size_t count, int64_t now_ms) const {
  const std::lock_guard lock(mutex_);
  const auto at = groups_.find(group.id);
  if (at == groups_.end() || at->second.epoch != group.epoch || vector.size() != at->second.vector_dimensions)
    return {};
  return nearest(at->second, at->second.vectors.get(), vector, count, now_ms);
}

void RetrievalCache::insert(const GroupKey& key, StoredListPtr list) {
  if (list->bytes() > memory_bytes_ / 8) return;
  const std::lock_guard lock(mutex_);
  const auto [at, fresh] = groups_.try_emplace(key.id);
  Group& group = at->second;
  if (fresh) group.scope = key.scope, group.versions = key.versions, group.epoch = key.epoch;
  if (group.epoch > key.epoch) return;  // read before a write that has been seen since
  if (group.epoch < key.epoch) {
    evicted(purged_, group.rows.size());
    clear(group);
    group.epoch = key.epoch;
  }
  if (group.rows.contains(list->key)) {
    // In place of the older one; the group stays.
    const Row& old = group.rows.at(list->key);
    bytes_ -= old.list->bytes();
    if (group.vectors) group.vectors->remove(old.number);
    if (group.meanings) group.meanings->remove(old.number);
    group.keys.erase(old.number);
    uses_.erase(old.use);
    group.rows.erase(list->key);
  }
  const uint64_t number = next_number_++;
  if (!list->vector.empty()) add_to(group.vectors, group.vector_dimensions, number, list->vector);
  if (!list->meaning.vector.empty()) add_to(group.meanings, group.meaning_dimensions, number, list->meaning.vector);
  uses_.emplace_front(key.id, list->key);
  bytes_ += list->bytes();
  group.keys.emplace(number, list->key);
  const std::string name = list->key;
  group.rows.emplace(name, Row{.list = std::move(list), .number = number, .use = uses_.begin()});
  uint64_t dropped = 0;
  for (; bytes_ > memory_bytes_ && !uses_.empty(); ++dropped) {
    const auto oldest = uses_.back();
    remove(groups_.find(oldest.first), oldest.second);
  }
  evicted(capacity_, dropped);
  show();
}

// REQUIRES: both are there. `key` may be in the row itself, so it is copied.
void RetrievalCache::remove(Groups::iterator at, const std::string& key) {
  Group& group = at->second;
  const auto row = group.rows.find(key);
  if (group.vectors) group.vectors->remove(row->second.number);
  if (group.meanings) group.meanings->remove(row->second.number);
  group.keys.erase(row->second.number);
  bytes_ -= row->second.list->bytes();
  const auto use = row->second.use;
  group.rows.erase(row);
  uses_.erase(use);
  if (group.rows.empty()) groups_.erase(at);
}

void RetrievalCache::clear(Group& group) {
  for (const auto& [key, row] : group.rows) {
    bytes_ -= row.list->bytes();
    uses_.erase(row.use);
  }
  group.rows.clear();
  group.keys.clear();
  group.vectors.reset();
  group.meanings.reset();
  group.vector_dimensions = group.meaning_dimensions = 0;
}

uint64_t RetrievalCache::purge(const std::function<bool(std::string_view, std::string_view, int64_t)>& is) {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string, std::string>> gone;
  for (const auto& [id, group] : groups_)
    for (const auto& [key, row] : group.rows)
      if (is(group.scope, group.versions, row.list->created_ms)) gone.emplace_back(id, key);
  for (const auto& [id, key] : gone) remove(groups_.find(id), key);
  evicted(purged_, gone.size());
  show();
  return gone.size();
}

void RetrievalCache::evicted(const base::Counter& why, uint64_t entries) {
  if (entries == 0) return;
  why.add(static_cast<double>(entries));
  evictions_ += entries;
}

void RetrievalCache::show() {
  entries_gauge_.set(static_cast<double>(uses_.size()));
  bytes_gauge_.set(static_cast<double>(bytes_));
}

RetrievalCache::Stats RetrievalCache::stats() const {
  const std::lock_guard lock(mutex_);
  return {.entries = uses_.size(), .groups = groups_.size(), .bytes = bytes_, .evictions = evictions_};
}

}  // namespace payonce::retrieval
