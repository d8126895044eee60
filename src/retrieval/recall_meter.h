// How much of a full search's list a seeded search finds, of each (scope, store, collection) by itself, with a lower
// bound that the true mean exceeds with 95 % confidence: the empirical Bernstein bound (Maurer and Pontil 2009,
// theorem 4), which holds for any distribution on [0, 1]. With no spread at all it needs 173 full searches to reach
// 0.95. Only the last kWindow count, so that it follows the data.  Threads: all any.
#pragma once

#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace payonce::retrieval {

class RecallMeter {
 public:
  static constexpr size_t kWindow = 1000;  // full searches
  static constexpr size_t kMaxKeys = 256;  // the one unused longest goes

  struct Reading {
    uint64_t searches = 0;  // in the window
    double mean = 0;
    double low = 0;  // 0: too few
  };
  void add(const std::string& key, double recall);  // 0 to 1
  Reading read(const std::string& key) const;
  Reading all() const;  // over every key together, for stats

 private:
  struct Row {
    std::vector<float> values;  // a ring of kWindow
    size_t next = 0;
    std::list<std::string>::iterator use;
  };
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Row> rows_;  // guarded by mutex_
  std::list<std::string> uses_;                // latest first; guarded by mutex_
};

}  // namespace payonce::retrieval
