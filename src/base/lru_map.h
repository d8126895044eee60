// A map by 128-bit hashes that holds at most so much weight (bytes, or entries at a weight of 1 each); what was not
// looked up for longest goes first.  Threads: one at a time.
#pragma once

#include <cstddef>
#include <iterator>
#include <list>
#include <unordered_map>
#include <utility>

#include "base/hash.h"

namespace payonce::base {

template <typename Value>
class LruMap {
 public:
  explicit LruMap(size_t max_weight) : max_weight_(max_weight) {}

  // Null when it is not there; valid until the next call that inserts. Counts as use.
  Value* find(const Hash128& key) {
    const auto it = index_.find(key);
    if (it == index_.end()) return nullptr;
    order_.splice(order_.begin(), order_, it->second);
    return &it->second->value;
  }
  // The same without counting as use.
  const Value* peek(const Hash128& key) const {
    const auto it = index_.find(key);
    return it == index_.end() ? nullptr : &it->second->value;
  }
  // What would go next; null when it is empty.
  const Value* oldest() const { return order_.empty() ? nullptr : &order_.back().value; }
  void drop_oldest() {  // REQUIRES: not empty
    drop(std::prev(order_.end()));
  }
  // Replaces what is there. The newest stays, however much it weighs.
  Value& insert(const Hash128& key, Value value, size_t weight = 1) {
    erase(key);
    order_.push_front({key, std::move(value), weight});
    index_[key] = order_.begin();
    weight_ += weight;
    shrink();
    return order_.front().value;
  }
  // What is there weighs something else now. Others go if that is too much; the newest stays.
  void weigh(const Hash128& key, size_t weight) {
    const auto it = index_.find(key);
    if (it == index_.end()) return;
    weight_ += weight - it->second->weight;
    it->second->weight = weight;
    shrink();
  }
  void erase(const Hash128& key) {
    if (const auto it = index_.find(key); it != index_.end()) drop(it->second);
  }
  template <typename Do>
  void for_each(Do&& what) const {  // latest use first
    for (const Node& node : order_) what(node.key, node.value);
  }
  size_t size() const { return order_.size(); }
  size_t weight() const { return weight_; }
  uint64_t dropped() const { return dropped_; }

 private:
  struct Node {
    Hash128 key;
    Value value;
    size_t weight;
  };
  void shrink() {
    while (weight_ > max_weight_ && order_.size() > 1) drop(std::prev(order_.end()));
  }
  void drop(typename std::list<Node>::iterator node) {
    weight_ -= node->weight;
    index_.erase(node->key);
    order_.erase(node);
    ++dropped_;
  }

  const size_t max_weight_;
  size_t weight_ = 0;
  uint64_t dropped_ = 0;
  std::list<Node> order_;
  std::unordered_map<Hash128, typename std::list<Node>::iterator, Hash128Hasher> index_;
};

}  // namespace payonce::base
