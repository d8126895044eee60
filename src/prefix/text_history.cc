#include "prefix/text_history.h"

#include <algorithm>

#include "prefix/saved_state.h"

namespace payonce::prefix {
namespace {

constexpr uint32_t kChanges = 2;           // once is a new version of the prompt, twice is a habit
constexpr size_t kMaxRegion_bytes = 4096;  // more is no volatile line but another prompt
constexpr double kOtherPrompt = 0.3;       // of the stable segments left: it is none of the versions that were seen
constexpr size_t kMaxRegions = 256;

base::Hash128 mixed(const base::Hash128& a, const base::Hash128& b) {
  return {(a.low ^ (b.low * 0x9E3779B97F4A7C15ull)) * 0xBF58476D1CE4E5B9ull + 1, a.high * 31 + b.high + 1};
}

}  // namespace

void TextHistory::begin(const std::vector<Segment>& segments) {
  seen_ = 0;
  stable_.clear();
  regions_.clear();
  for (size_t i = 0; i < std::min(segments.size(), kMaxSegments); ++i) stable_.insert(segments[i].exact);
  began_with_ = stable_.size();
}

std::vector<TextHistory::Span> TextHistory::spans(const std::vector<Segment>& segments) const {
  std::vector<Span> out;
  Hash anchor;
  bool open = false;
  for (size_t i = 0; i < std::min(segments.size(), kMaxSegments); ++i) {
    if (stable_.contains(segments[i].exact)) {
      anchor = segments[i].exact;
      open = false;
      continue;
    }
    if (!open) out.push_back({.anchor = anchor, .content = {}, .begin = i, .end = i, .bytes = 0});
    open = true;
    Span& span = out.back();
    span.content = mixed(span.content, segments[i].exact);
    span.end = i + 1;
    span.bytes += segments[i].size;
  }
  return out;
}

void TextHistory::note(const std::vector<Span>& spans) {
  std::unordered_map<Hash, Hash, base::Hash128Hasher> now;
  for (const Span& span : spans) {
    now[span.anchor] = mixed(now[span.anchor], span.content);
    if (regions_.size() < kMaxRegions) regions_.try_emplace(span.anchor, Region{.last = {}, .seen = seen_ - 1});
  }
  for (auto& [anchor, region] : regions_) {
    const auto it = now.find(anchor);
    const Hash content = it == now.end() ? Hash() : it->second;
    ++region.seen;
    if (content == region.last) continue;
    region.last = content;
    ++region.changed;
    region.is_volatile = region.is_volatile || region.changed >= kChanges;
  }
}

TextHistory::Verdict TextHistory::take(const std::vector<Segment>& segments) {
  std::unordered_set<Hash, base::Hash128Hasher> present;
  for (size_t i = 0; i < std::min(segments.size(), kMaxSegments); ++i) present.insert(segments[i].exact);
  if (seen_ > 0) {
    std::erase_if(stable_, [&](const Hash& exact) { return !present.contains(exact); });
    if (static_cast<double>(stable_.size()) < kOtherPrompt * static_cast<double>(began_with_)) seen_ = 0;
  }
  if (seen_ == 0) begin(segments);
  ++seen_;
  const std::vector<Span> found = spans(segments);
  note(found);

  Verdict out;
  out.changes.assign(segments.size(), false);
  for (size_t i = 0; i < segments.size(); ++i) {
    const bool again = seen_ >= 2 && stable_.contains(segments[i].exact);
    if (segments[i].is_git_state) out.changes[i] = true;  // at rest between two commits, but not for long
    // A time that stands there again is one of a text ("open until 21:30"), no clock.
    if (!segments[i].looks_volatile || again) continue;
    out.changes[i] = true;
    out.unreadable = true;
  }
  for (const Span& span : found) {
    const auto region = regions_.find(span.anchor);
    if (region == regions_.end()) continue;
    if (region->second.is_volatile && span.bytes <= kMaxRegion_bytes)
      std::fill(out.changes.begin() + static_cast<ptrdiff_t>(span.begin),
                out.changes.begin() + static_cast<ptrdiff_t>(span.end), true);
    if (region->second.seen >= 3 && region->second.changed + 1 >= region->second.seen) out.unreadable = true;
  }
  out.any_changes = std::find(out.changes.begin(), out.changes.end(), true) != out.changes.end();
  return out;
}

TextHistory::Census TextHistory::census() const {
  Census out{.seen = seen_, .stable = stable_.size()};
  for (const auto& [anchor, region] : regions_) {
    if (region.seen >= 3 && (region.changed + 1) * 4 >= region.seen * 3)
      ++out.per_request;
    else
      ++(region.changed >= kChanges ? out.now_and_then : out.once);
  }
  return out;
}

size_t TextHistory::bytes() const {
  constexpr size_t kNode = 4 * sizeof(void*);  // of a hash table: links, the cached hash, the allocator's own
  return sizeof *this + stable_.size() * (sizeof(Hash) + kNode) +
         regions_.size() * (sizeof(Hash) + sizeof(Region) + kNode);
}

void TextHistory::save(std::string& out) const {
  base::put_number(out, seen_);
  base::put_number(out, static_cast<uint32_t>(began_with_));
  put_hashes(out, {stable_.begin(), stable_.end()});
  base::put_number(out, static_cast<uint32_t>(regions_.size()));
  for (const auto& [anchor, region] : regions_) {
    put_hash(out, anchor);
    put_hash(out, region.last);
    base::put_number(out, region.seen);
    base::put_number(out, region.changed);
    base::put_number(out, static_cast<uint8_t>(region.is_volatile));
  }
}

void TextHistory::load(base::NumberReader& from) {
  seen_ = from.number<uint32_t>();
  began_with_ = from.number<uint32_t>();
  for (const Hash& exact : take_hashes(from)) stable_.insert(exact);
  for (auto left = from.number<uint32_t>(); left > 0 && from.ok(); --left) {
    const Hash anchor = take_hash(from);
    Region& region = regions_[anchor];
    region.last = take_hash(from);
    region.seen = from.number<uint32_t>();
    region.changed = from.number<uint32_t>();
    region.is_volatile = from.number<uint8_t>() != 0;
  }
}

}  // namespace payonce::prefix
