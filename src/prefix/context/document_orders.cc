#include "prefix/context/document_orders.h"

#include <algorithm>
#include <utility>

namespace payonce::prefix {
namespace {

using base::Hash128;

constexpr size_t kMaxSteps = 4096;  // of a search for the longest path

// The path from the root that holds most bytes of the wanted documents and no others.
class PathSearch {
 public:
  using Items = std::unordered_map<Hash128, uint16_t, base::Hash128Hasher>;
  PathSearch(const Items& wanted, const std::vector<DocumentOrders::Item>& items) : wanted_(wanted), items_(items) {}

  template <typename Nodes>
  void visit(const Nodes& nodes, uint32_t at, uint64_t bytes) {
    if (bytes > best_bytes_) {
      best_bytes_ = bytes;
      best_ = path_;
    }
    for (const uint32_t child : nodes[at].children) {
      const auto found = wanted_.find(nodes[child].document);
      if (found == wanted_.end() || ++steps_ > kMaxSteps) continue;
      path_.push_back(found->second);
      visit(nodes, child, bytes + items_[found->second].bytes);
      path_.pop_back();
    }
  }
  std::vector<uint16_t> best() && { return std::move(best_); }

 private:
  const Items& wanted_;
  const std::vector<DocumentOrders::Item>& items_;
  std::vector<uint16_t> path_, best_;
  uint64_t best_bytes_ = 0;
  size_t steps_ = 0;
};

}  // namespace

DocumentOrders::Layout DocumentOrders::layout(const Asked& asked) {
  const std::lock_guard lock(mutex_);
  if (const Layout* known = layouts_.find(asked.text)) return *known;
  Site* site = sites_.find(asked.site);
  if (site == nullptr) site = &sites_.insert(asked.site, {});
  Layout out;
  out.documents_first = goes_first(*site, asked);
  if (asked.may_change_order) {
    out.order = order(*site, asked.items);
  } else {
    for (size_t i = 0; i < asked.items.size(); ++i) out.order.push_back(static_cast<uint16_t>(i));
  }
  return layouts_.insert(asked.text, out);
}

size_t DocumentOrders::sites() const {
  const std::lock_guard lock(mutex_);
  return sites_.size();
}

std::vector<uint16_t> DocumentOrders::order(Site& site, const std::vector<Item>& items) {
  ++clock_;
  PathSearch::Items wanted;
  for (size_t i = 0; i < items.size(); ++i) wanted.emplace(items[i].text, static_cast<uint16_t>(i));
  PathSearch search(wanted, items);
  search.visit(site.nodes, 0, 0);
  std::vector<uint16_t> out = std::move(search).best();
  std::vector<uint16_t> rest;
  for (size_t i = 0; i < items.size(); ++i)
    if (std::find(out.begin(), out.end(), i) == out.end()) rest.push_back(static_cast<uint16_t>(i));
  std::stable_sort(rest.begin(), rest.end(), [&](uint16_t a, uint16_t b) {
    const auto times = [&](uint16_t i) {
      const auto found = site.asked_for.find(items[i].text);
      return found == site.asked_for.end() ? 0 : found->second;
    };
    return times(a) > times(b);
  });
  out.insert(out.end(), rest.begin(), rest.end());

  if (site.nodes.size() + items.size() > limits_.nodes) prune(site);
  for (const Item& item : items) ++site.asked_for[item.text];
  uint32_t at = 0;
  for (const uint16_t i : out) {
    const auto& children = site.nodes[at].children;
    const auto found = std::find_if(children.begin(), children.end(),
                                    [&](uint32_t child) { return site.nodes[child].document == items[i].text; });
    if (found != children.end()) {
      at = *found;
    } else {
      const auto made = static_cast<uint32_t>(site.nodes.size());
      site.nodes[at].children.push_back(made);
      site.nodes.push_back({.document = items[i].text, .parent = at});
      at = made;
    }
    site.nodes[at].used = clock_;
  }
  return out;
}

// Keeps the half that was used last; a parent is used whenever its child is.
void DocumentOrders::prune(Site& site) const {
  std::vector<uint64_t> used;
  for (const Node& node : site.nodes) used.push_back(node.used);
  std::nth_element(used.begin(), used.begin() + static_cast<std::ptrdiff_t>(used.size() / 2), used.end());
  const uint64_t oldest = used[used.size() / 2];
  std::vector<Node> kept(1);
  std::vector<uint32_t> now_at(site.nodes.size(), 0);
  for (uint32_t i = 1; i < site.nodes.size(); ++i) {  // parents stand before their children
    Node& node = site.nodes[i];
    const bool has_parent = node.parent == 0 || now_at[node.parent] != 0;
    if (node.used <= oldest || !has_parent || kept.size() > limits_.nodes / 2) continue;
    now_at[i] = static_cast<uint32_t>(kept.size());
    node.parent = now_at[node.parent];
    node.children.clear();
    kept[node.parent].children.push_back(now_at[i]);
    kept.push_back(std::move(node));
  }
  site.nodes = std::move(kept);
  if (site.asked_for.size() > limits_.nodes * 4) site.asked_for.clear();
}

// Words that came before with other documents belong to the template and stay in front. Words that are new, before a
// document that came with other words, are what changes.
bool DocumentOrders::goes_first(Site& site, const Asked& asked) {
  if (asked.head == Hash128() || asked.items.empty()) return false;
  for (auto* table : {&site.heads, &site.head_of})
    if (table->size() > 1024) table->clear();
  const Hash128 first = asked.items.front().text;
  const bool is_template = !site.heads.emplace(asked.head, first).second;
  const auto [last, is_new] = site.head_of.emplace(first, asked.head);
  const bool changed = !is_new && !(last->second == asked.head);
  last->second = asked.head;
  return asked.may_go_first && changed && !is_template;
}

}  // namespace payonce::prefix
