#include "prefix/breakers/linker.h"

#include <algorithm>
#include <unordered_set>

#include "prefix/breakers/slots.h"

namespace payonce::prefix {
namespace {

constexpr size_t kScanned = 128;     // recent conversations that are searched for shared messages
constexpr size_t kQuestions = 8;     // of a site
constexpr size_t kMaxHeads = 8192;   // remembered spellings of heads
constexpr size_t kHeadBytes = 4096;  // of a site's text
constexpr size_t kTelling = 24;      // bytes of a message that is not said in every conversation
constexpr double kAlike = 0.7, kStillAlike = 0.5;

std::string head_text(const KeptRequest& kept) {
  std::string out;
  for (const Block& block : kept.prompt.blocks)
    if (block.section == Section::kSystem && block.text_node != kNoNode) out += kept.text(block.text_node) + "\n";
  if (out.size() < 16 && kept.messages() > 0) out += text_of_message(kept, kept.message(0));
  return out;
}

base::Hash128 head_hash(const KeptRequest& kept, const base::KeyedHash& hash) {
  base::Hash128 out = hash(llm::dialect_name(kept.request.dialect));
  bool any = false;
  for (const Unit& unit : kept.prompt.units)
    if (unit.section == Section::kSystem) {
      out = hash.parts<2>({base::bytes_of(out), base::bytes_of(unit.value)});
      any = true;
    }
  if (!any && kept.messages() > 0) out = hash.parts<2>({base::bytes_of(out), base::bytes_of(kept.message(0).value)});
  return out;
}

// Messages of `before` that `now` holds, too.
uint32_t shared_messages(const std::unordered_set<uint64_t>& now, const KeptRequest& before) {
  uint32_t out = 0;
  for (uint32_t i = 0; i < before.messages(); ++i) {
    const Unit& unit = before.message(i);
    if (before.tape()[unit.node].size >= kTelling && now.contains(unit.value.low)) ++out;
  }
  return out;
}

}  // namespace

Linker::Conversations::iterator Linker::by_chain(const KeptRequest& now, bool& exact) {
  for (size_t i = now.history.size(); i > 0; --i)
    if (const auto it = ends_.find(now.history[i - 1]); it != ends_.end()) {
      const Kept& last = it->second->last;
      if (!now.session.empty() && !last->session.empty() && now.session != last->session) continue;
      exact = true;
      return it->second;
    }
  return conversations_.end();
}

Linker::Conversations::iterator Linker::by_messages(const KeptRequest& now) {
  std::unordered_set<uint64_t> values;
  for (uint32_t i = 0; i < now.messages(); ++i) values.insert(now.message(i).value.low);
  auto best = conversations_.end();
  uint32_t best_shared = 0;
  size_t scanned = 0;
  for (auto it = conversations_.begin(); it != conversations_.end() && scanned < kScanned; ++it, ++scanned) {
    const bool hinted = !now.session.empty() && it->last->session == now.session;
    if (!now.session.empty() && !it->last->session.empty() && !hinted) continue;
    const uint32_t shared = shared_messages(values, *it->last);
    const uint32_t needed = hinted ? 1 : std::max<uint32_t>(2, it->last->messages() / 3);
    if (shared >= needed && shared > best_shared) {
      best = it;
      best_shared = shared;
    }
  }
  return best;
}

Site* Linker::alike(const KeptRequest& now, const Sketch& sketch, const std::string& head) {
  Site* best = nullptr;
  double best_likeness = kAlike;
  for (Site& site : sites_) {
    if (site.dialect != now.request.dialect) continue;
    double share = likeness(site.sketch, sketch);
    if (share < best_likeness && head.size() <= kHeadBytes && site.head.size() <= kHeadBytes) {
      // A text of a few long lines: word by word.
      const size_t larger = std::max(head.size(), site.head.size());
      if (std::min(head.size(), site.head.size()) * 2 > larger && sketch.pieces.size() < 12)
        share = 1 - static_cast<double>(compare_text(site.head, head).changed_bytes) / static_cast<double>(larger);
    }
    if (share >= best_likeness) {
      best = &site;
      best_likeness = share;
    }
  }
  return best;
}

Site& Linker::site_of(const KeptRequest& now, const base::KeyedHash& hash, const Conversation* likely) {
  const base::Hash128 key = head_hash(now, hash);
  const auto take = [&](Site& site) -> Site& {
    if (heads_.size() >= kMaxHeads) heads_.clear();
    heads_[key] = site.id;
    return site;
  };
  const auto by_id = [&](uint32_t id) {
    return std::find_if(sites_.begin(), sites_.end(), [&](const Site& site) { return site.id == id; });
  };
  if (const auto it = heads_.find(key); it != heads_.end())
    if (const auto site = by_id(it->second); site != sites_.end()) return *site;
  const std::string head = head_text(now);
  const Sketch sketch = sketch_of(head);
  if (likely != nullptr)
    if (const auto site = by_id(likely->site);
        site != sites_.end() && site->dialect == now.request.dialect && likeness(site->sketch, sketch) >= kStillAlike)
      return take(*site);
  if (Site* site = alike(now, sketch, head); site != nullptr) return take(*site);
  // A copy, since the text may be long.
  sites_.push_front(
      {.id = next_site_++, .dialect = now.request.dialect, .sketch = sketch, .head = head.substr(0, kHeadBytes + 1)});
  return take(sites_.front());
}

Link Linker::link(const Kept& now, const base::KeyedHash& hash) {
  Link out;
  linked_ = by_chain(*now, out.exact);
  if (linked_ == conversations_.end() && now->messages() > 1) linked_ = by_messages(*now);
  const Conversation* likely = linked_ != conversations_.end() ? &*linked_ : nullptr;
  out.site = &site_of(*now, hash, likely);
  if (likely != nullptr) {
    out.previous = likely->last;
    out.same_head = likely->site == out.site->id;
  }
  if (!out.previous && now->messages() > 0 && now->messages() <= 2)
    out.question = sketch_of(text_of_message(*now, now->message(now->messages() - 1)));
  if (!out.exact) {
    size_t scanned = 0;
    for (auto it = conversations_.begin(); it != conversations_.end() && scanned < kScanned; ++it, ++scanned) {
      const bool hinted = !now->session.empty() && it->last->session == now->session;
      if (hinted && it->site == out.site->id && !out.mate) {
        out.mate = it->last;
        if (linked_ == conversations_.end() && now->messages() > 2) linked_ = it;
      } else if (hinted && !out.mate && it->last->request.dialect != now->request.dialect) {
        out.mate = it->last;  // the same conversation, sent elsewhere
      }
      if (out.live.size() < 4 && (hinted || now->session.empty()) && it->last->messages() > 1)
        out.live.push_back(it->last);
    }
  }
  return out;
}

void Linker::drop(Conversations::iterator which) {
  bytes_ -= which->last->size_bytes();
  const auto end = ends_.find(which->last->history.empty() ? base::Hash128() : which->last->history.back());
  if (end != ends_.end() && end->second == which) ends_.erase(end);
}

void Linker::keep(const Kept& now, Link link, bool apart) {
  Site& site = *link.site;
  if (!apart && linked_ != conversations_.end()) {
    drop(linked_);
    linked_->last = now;
    linked_->site = site.id;
    conversations_.splice(conversations_.begin(), conversations_, linked_);
  } else {
    conversations_.push_front({next_id_++, now, site.id});
  }
  bytes_ += now->size_bytes();
  if (!now->history.empty()) ends_[now->history.back()] = conversations_.begin();
  if (link.question.bytes > 0) {
    site.questions.push_front({now, std::move(link.question)});
    if (site.questions.size() > kQuestions) site.questions.pop_back();
  }
  site.last = now;
  const auto at = std::find_if(sites_.begin(), sites_.end(), [&](const Site& one) { return one.id == site.id; });
  sites_.splice(sites_.begin(), sites_, at);
  evict();
}

void Linker::evict() {
  while (conversations_.size() > 1 &&
         (bytes_ > limits_.memory_bytes || conversations_.size() > limits_.conversations)) {
    drop(std::prev(conversations_.end()));
    conversations_.pop_back();
  }
  while (sites_.size() > limits_.sites) sites_.pop_back();
  linked_ = conversations_.end();
}

}  // namespace payonce::prefix
