#include "agent/entry_index.h"

#include <algorithm>
#include <mutex>
#include <string_view>

#include "net/field_list.h"

namespace payonce::agent {
namespace {

// Names of the items that only one of two lists has: "tools=v3,kb=2" and "tools=v4" differ in tools and kb.
std::vector<std::string> tags_apart(std::string_view first, std::string_view second) {
  std::vector<std::string> mine, theirs, out;
  net::for_each_item(first, [&](std::string_view tag) { mine.emplace_back(tag); });
  net::for_each_item(second, [&](std::string_view tag) { theirs.emplace_back(tag); });
  const auto add = [&](const std::vector<std::string>& from, const std::vector<std::string>& to) {
    for (const std::string& tag : from)
      if (std::find(to.begin(), to.end(), tag) == to.end()) out.push_back("versions." + tag.substr(0, tag.find('=')));
  };
  add(mine, theirs);
  add(theirs, mine);
  return out;
}

std::vector<std::string> parts_apart(const std::vector<PartMark>& first, const std::vector<PartMark>& second) {
  std::vector<std::string> out;
  const auto add = [&](const std::vector<PartMark>& from, const std::vector<PartMark>& to) {
    for (const PartMark& part : from)
      if (std::find(to.begin(), to.end(), part) == to.end()) out.push_back("parts." + part.name);
  };
  add(first, second);
  add(second, first);
  return out;
}

std::vector<std::string> apart(const Question& question, const std::vector<PartMark>& parts, const Caller& caller,
                               const Entry& entry) {
  std::vector<std::string> out = parts_apart(parts, entry.parts);
  for (std::string& tag : tags_apart(question.versions, entry.versions)) out.push_back(std::move(tag));
  if (caller.scope_id != entry.scope) out.emplace_back("scope");
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace

EntryPtr EntryIndex::find(std::string_view key) const {
  const std::shared_lock lock(mutex_);
  const auto found = nodes_.find(std::string(key));
  return found == nodes_.end() ? nullptr : found->second.entry;
}

EntryPtr EntryIndex::find_intent(const std::string& intent) const {
  const std::shared_lock lock(mutex_);
  const auto found = intents_.find(intent);
  return found == intents_.end() ? nullptr : found->second;
}

EntryPtr EntryIndex::find_id(std::string_view id) const {
  const std::shared_lock lock(mutex_);
  for (const auto& [key, node] : nodes_)
    if (node.entry->id() == id) return node.entry;
  return nullptr;
}

void EntryIndex::touch(std::string_view key) {
  const std::unique_lock lock(mutex_, std::try_to_lock);  // an order that is a little off does no harm
  if (!lock) return;
  if (const auto found = nodes_.find(std::string(key)); found != nodes_.end())
    order_.splice(order_.end(), order_, found->second.place);
}

// What entries are grouped by: one part each, all parts, and the names of the parts.
std::vector<base::Hash128> EntryIndex::groups_of(Kind kind, std::string_view credential,
                                                 const std::vector<PartMark>& parts) const {
  using Strings = std::array<std::string_view, 4>;
  std::vector<base::Hash128> out;
  std::string all, names;
  for (const PartMark& part : parts) {
    out.push_back(hash_.parts(Strings{kind_name(kind), credential, part.name, part.digest}));
    ((all += part.name) += '=') += part.digest;
    (names += part.name) += '\n';
  }
  out.push_back(hash_.parts(Strings{kind_name(kind), credential, "all", all}));
  out.push_back(hash_.parts(Strings{kind_name(kind), credential, "names", names}));
  return out;
}

void EntryIndex::join(const EntryPtr& entry) {
  for (const base::Hash128& hash : groups_of(entry->kind, entry->credential, entry->parts)) {
    Group& group = groups_[hash];
    if (group.size() == kGroup) group.erase(group.begin());
    group.push_back(entry);
  }
  if (!entry->intent.empty()) intents_[entry->intent] = entry;
}

void EntryIndex::leave(const Entry& entry) {
  for (const base::Hash128& hash : groups_of(entry.kind, entry.credential, entry.parts)) {
    const auto group = groups_.find(hash);
    if (group == groups_.end()) continue;
    std::erase_if(group->second, [&](const EntryPtr& other) { return other.get() == &entry; });
    if (group->second.empty()) groups_.erase(group);
  }
  if (const auto same = intents_.find(entry.intent); same != intents_.end() && same->second.get() == &entry)
    intents_.erase(same);
}

std::vector<std::string> EntryIndex::insert(EntryPtr entry) {
  const std::unique_lock lock(mutex_);
  erase_locked(entry->key);
  Count& count = counts_[static_cast<size_t>(entry->kind)];
  ++count.entries;
  count.bytes += entry->value_bytes;
  weight_ += entry->weight();
  join(entry);
  order_.push_back(entry->key);
  nodes_[entry->key] = {entry, std::prev(order_.end())};
  std::vector<std::string> gone;
  while (weight_ > max_weight_ && order_.size() > 1) {
    gone.push_back(order_.front());
    erase_locked(gone.back());
  }
  return gone;
}

bool EntryIndex::erase(std::string_view key) {
  const std::unique_lock lock(mutex_);
  return erase_locked(std::string(key));
}

void EntryIndex::erase_if(const std::function<bool(const Entry&)>& is) {
  std::vector<EntryPtr> all;
  {
    const std::shared_lock lock(mutex_);
    for (const auto& [key, node] : nodes_) all.push_back(node.entry);
  }
  for (const EntryPtr& entry : all) {
    if (!is(*entry)) continue;
    const std::unique_lock lock(mutex_);
    const auto found = nodes_.find(entry->key);
    if (found != nodes_.end() && found->second.entry == entry) erase_locked(entry->key);
  }
}

bool EntryIndex::erase_locked(const std::string& key) {
  const auto found = nodes_.find(key);
  if (found == nodes_.end()) return false;
  const EntryPtr entry = found->second.entry;
  Count& count = counts_[static_cast<size_t>(entry->kind)];
  --count.entries;
  count.bytes -= entry->value_bytes;
  weight_ -= entry->weight();
  leave(*entry);
  order_.erase(found->second.place);
  nodes_.erase(found);
  return true;
}

Nearest EntryIndex::nearest(const Question& question, const Caller& caller) const {
  const std::vector<PartMark> parts = marks_of(question.parts);
  Nearest out;
  const std::shared_lock lock(mutex_);
  for (const base::Hash128& hash : groups_of(question.kind, caller.credential_id, parts)) {
    const auto group = groups_.find(hash);
    if (group == groups_.end()) continue;
    for (const EntryPtr& entry : group->second) {
      std::vector<std::string> changed = apart(question, parts, caller, *entry);
      const bool nearer = !out.entry || changed.size() < out.changed.size() ||
                          (changed.size() == out.changed.size() && entry->created_ms > out.entry->created_ms);
      if (nearer) out = {entry, std::move(changed)};
    }
  }
  return out;
}

std::vector<std::string> EntryIndex::select(std::string_view credential,
                                            const std::function<bool(const Entry&)>& is) const {
  std::vector<std::string> out;
  const std::shared_lock lock(mutex_);
  for (const auto& [key, node] : nodes_)
    if (node.entry->credential == credential && is(*node.entry)) out.push_back(key);
  return out;
}

void EntryIndex::demote(std::string_view credential, std::string_view scope_name) {
  const auto keys =
      select(credential, [&](const Entry& entry) { return net::has_item(entry.scope_names, scope_name); });
  const std::unique_lock lock(mutex_);
  for (const std::string& key : keys)
    if (const auto found = nodes_.find(key); found != nodes_.end())
      order_.splice(order_.begin(), order_, found->second.place);
}

EntryIndex::Count EntryIndex::count(Kind kind) const {
  const std::shared_lock lock(mutex_);
  return counts_[static_cast<size_t>(kind)];
}

}  // namespace payonce::agent
