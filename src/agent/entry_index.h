// The published entries by key, id and what they are made of: finds one in O(1), says what a question that misses
// lacks, and chooses what an invalidation means. Bounded; what was asked for longest ago goes first. Threads: all
// any; a lock is held for the look-up.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <list>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/entry.h"
#include "base/hash.h"

namespace payonce::agent {

// The nearest entry of a kind and credential, and what differs: "parts.tools", "versions.kb", "scope". Empty: none.
struct Nearest {
  EntryPtr entry;  // null: none
  std::vector<std::string> changed;
};

class EntryIndex {
 public:
  explicit EntryIndex(size_t max_weight) : max_weight_(max_weight) {}

  EntryPtr find(std::string_view key) const;
  EntryPtr find_intent(const std::string& intent) const;
  EntryPtr find_id(std::string_view id) const;  // walks all
  void touch(std::string_view key);             // was hit: goes later
  // Replaces; returns the keys of entries that had to go for it.
  std::vector<std::string> insert(EntryPtr entry);
  bool erase(std::string_view key);
  void erase_if(const std::function<bool(const Entry&)>& is);  // called outside the lock
  Nearest nearest(const Question& question, const Caller& caller) const;
  // Keys of entries of that credential for which `is` holds.
  std::vector<std::string> select(std::string_view credential, const std::function<bool(const Entry&)>& is) const;
  void demote(std::string_view credential, std::string_view scope_name);  // go first

  struct Count {
    uint64_t entries = 0, bytes = 0;  // of values
  };
  Count count(Kind kind) const;

 private:
  struct Node {
    EntryPtr entry;
    std::list<std::string>::iterator place;  // in order_
  };
  using Group = std::vector<EntryPtr>;  // the latest kGroup that share something
  static constexpr size_t kGroup = 64;
  std::vector<base::Hash128> groups_of(Kind kind, std::string_view credential,
                                       const std::vector<PartMark>& parts) const;
  void join(const EntryPtr& entry);
  void leave(const Entry& entry);
  bool erase_locked(const std::string& key);

  const size_t max_weight_;
  const base::KeyedHash hash_;
  mutable std::shared_mutex mutex_;  // guards all below
  std::unordered_map<std::string, Node> nodes_;
  std::list<std::string> order_;  // the next to go in front
  std::unordered_map<base::Hash128, Group, base::Hash128Hasher> groups_;
  std::unordered_map<std::string, EntryPtr> intents_;  // the latest of each
  std::array<Count, kKinds.size()> counts_{};
  size_t weight_ = 0;
};

}  // namespace payonce::agent
