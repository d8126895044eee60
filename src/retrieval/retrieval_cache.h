// Result lists in memory, by group and query. A group is everything that shapes a list but the query itself; within
// it, an equal query is found by its key, near ones by their vectors. A group holds lists of one epoch: a newer one
// empties it, an older list is not taken.
//
// Bounded by bytes; the list unused longest goes first.  Threads: all any.  Owner: RetrievalStage.
// Errors: none; what is not there is a miss with its reason.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/metrics.h"
#include "embed/embedder.h"
#include "semantic/index/vector_index.h"
#include "semantic/pair_judge.h"

namespace payonce::retrieval {

// A stored answer with the query that it answers. Immutable.
struct StoredList {
  std::string key;   // of the query in its group
  base::Bytes body;  // the store's answer, byte for byte
  std::string content_type;
  int64_t created_ms = 0, expires_ms = 0;  // unix
  std::vector<float> vector;               // of the query; empty: none
  embed::Embedding meaning;                // of the query's text; no vector: no text
  semantic::ReadQuestionPtr read;          // the text, as the judge reads it; null: no text
  size_t bytes() const;
};
using StoredListPtr = std::shared_ptr<const StoredList>;

struct GroupKey {
  std::string id;  // a hash of all that shapes the list
  std::string scope, versions;
  uint64_t epoch = 0;
};

enum class Miss : uint8_t { kCold, kExpired, kEpoch };

class RetrievalCache {
 public:
  explicit RetrievalCache(uint64_t memory_bytes, base::Metrics& metrics);

  struct Found {
    StoredListPtr list;  // null: missed
    Miss why = Miss::kCold;
  };
  Found find(const GroupKey& group, const std::string& key, int64_t now_ms);
  struct Near {
    StoredListPtr list;
    float cosine = 0;
  };
  // The nearest by the text's meaning, or by the query's vector, nearest first; of the same dimensions alone.
  std::vector<Near> near_in_meaning(const GroupKey& group, const std::vector<float>& meaning, size_t count,
                                    int64_t now_ms) const;
  std::vector<Near> near(const GroupKey& group, const std::vector<float>& vector, size_t count, int64_t now_ms) const;
  void insert(const GroupKey& group, StoredListPtr list);
  // What `is` says of (scope, versions, created_ms) goes; how many went.
  uint64_t purge(const std::function<bool(std::string_view, std::string_view, int64_t)>& is);

  struct Stats {
    uint64_t entries = 0, groups = 0, bytes = 0, evictions = 0;
  };
  Stats stats() const;

 private:
  struct Row {
    StoredListPtr list;
    uint64_t number = 0;  // its name in the indexes
    std::list<std::pair<std::string, std::string>>::iterator use;
  };
  struct Group {
    std::string scope, versions;
    uint64_t epoch = 0;
    std::unordered_map<std::string, Row> rows;       // by key
    std::unordered_map<uint64_t, std::string> keys;  // by number
    std::unique_ptr<semantic::VectorIndex> vectors, meanings;
    size_t vector_dimensions = 0, meaning_dimensions = 0;
  };
  using Groups = std::unordered_map<std::string, Group>;
  void remove(Groups::iterator group, const std::string& key);
  void clear(Group& group);
  std::vector<Near> nearest(const Group& group, const semantic::VectorIndex* index, const std::vector<float>& vector,
                            size_t count, int64_t now_ms) const;
  void evicted(const base::Counter& why, uint64_t entries);
  void show();

  const uint64_t memory_bytes_;
  const base::Counter capacity_, expired_, purged_;
  const base::Gauge entries_gauge_, bytes_gauge_;
  mutable std::mutex mutex_;  // guards all below
  Groups groups_;
  std::list<std::pair<std::string, std::string>> uses_;  // (group, key), latest first
  uint64_t bytes_ = 0, evictions_ = 0, next_number_ = 1;
};

}  // namespace payonce::retrieval
