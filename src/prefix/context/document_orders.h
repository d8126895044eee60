// In which order a set of documents is sent: along a tree of the orders that were sent before. A provider reads a
// prefix, so the longest path of the tree whose documents are all in the request comes first; the rest follows, what
// was asked for most often in front, else as the client has it. So equal sets get equal orders, and what is always
// there moves to the front. Threads: all any (one lock).  Bounded: the sites that were not seen for longest are
// forgotten, and in a full tree the orders that were not used for longest.
#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "base/lru_map.h"

namespace payonce::prefix {

class DocumentOrders {
 public:
  struct Limits {
    size_t sites = 256, nodes = 1024, layouts = size_t{1} << 14;
  };
  explicit DocumentOrders(Limits limits) : limits_(limits), sites_(limits.sites), layouts_(limits.layouts) {}

  struct Item {
    base::Hash128 text;
    uint32_t bytes = 0;
  };
  // What a text was made of when it was sent first; the same text is always sent the same way, so that a
  // conversation's history stays what it was.
  struct Layout {
    std::vector<uint16_t> order;   // indices of the items
    bool documents_first = false;  // before the words in front of them
  };
  struct Asked {
    base::Hash128 site;  // of a caller: what the tree belongs to
    base::Hash128 text;  // all of it
    const std::vector<Item>& items;
    bool may_change_order = false;
    base::Hash128 head;  // the words in front; {}: none
    bool may_go_first = false;
  };
  Layout layout(const Asked& asked);
  size_t sites() const;

 private:
  struct Node {
    base::Hash128 document;
    uint32_t parent = 0;
    uint64_t used = 0;
    std::vector<uint32_t> children;
  };
  struct Site {
    std::vector<Node> nodes{1};                                                  // the first is the root
    std::unordered_map<base::Hash128, uint32_t, base::Hash128Hasher> asked_for;  // how often, by document
    // Words in front of documents, and with which words a document came last.
    std::unordered_map<base::Hash128, base::Hash128, base::Hash128Hasher> heads, head_of;
  };
  std::vector<uint16_t> order(Site& site, const std::vector<Item>& items);
  void prune(Site& site) const;
  static bool goes_first(Site& site, const Asked& asked);

  const Limits limits_;
  mutable std::mutex mutex_;
  base::LruMap<Site> sites_;      // guarded by mutex_
  base::LruMap<Layout> layouts_;  // guarded by mutex_
  uint64_t clock_ = 0;            // guarded by mutex_; counts orders
};

}  // namespace payonce::prefix
