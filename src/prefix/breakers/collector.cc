#include "prefix/breakers/collector.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace payonce::prefix {
namespace {

constexpr size_t kMaxValues = 64;
constexpr size_t kMaxVariants = 8;

bool names_a_version(std::string_view label) {
  for (const std::string_view word :
       {"version", "variant", "experiment", "prompt", "flag", "bucket", "group", "arm", "rev"})
    if (label.find(word) != std::string_view::npos) return true;
  return false;
}

}  // namespace

void Collector::add_priced(const Break& one, const KeptRequest& now, uint32_t site, bool in_session, double tokens,
                           double usd) {
  const std::string key = fmt::format("{}|{}|{}|{}", site, one.place, one.is_slot ? -1 : static_cast<int>(one.kind),
                                      one.is_slot ? static_cast<int>(one.guess) : 0);
  auto it = entries_.find(key);
  if (it == entries_.end()) {
    if (entries_.size() >= kMaxEntries) return;
    it = entries_.emplace(key, Entry()).first;
    Entry& made = it->second;
    made.finding = {.kind = one.kind,
                    .request = now.index,
                    .path = one.path,
                    .byte_offset = one.byte_offset,
                    .bytes = one.bytes,
                    .before = one.before,
                    .after = one.after,
                    .detail = one.detail};
    made.site = site;
    made.is_slot = one.is_slot;
    made.guess = one.guess;
    made.in_tools = one.path.starts_with("tools");
    if (const size_t bar = one.place.rfind('|'); bar != std::string::npos) made.label = one.place.substr(bar + 1);
    made.values[std::hash<std::string>()(one.before)] = 1;
  }
  Entry& entry = it->second;
  ++entry.finding.occurrences;
  entry.finding.tokens += static_cast<uint64_t>(tokens);
  entry.finding.cost_usd += usd;
  ++(in_session ? entry.in_session : entry.across);
  const uint64_t value = std::hash<std::string>()(one.after);
  if (const auto known = entry.values.find(value); known != entry.values.end()) {
    ++entry.returned;  // each break is a change: what is there again had gone in between
    ++known->second;
  } else if (entry.values.size() < kMaxValues) {
    entry.values[value] = 1;
  }
}

void Collector::add(std::vector<Break> breaks, const KeptRequest& now, uint32_t site, bool in_session,
                    uint32_t shared_tokens, const TokenPrice& price) {
  std::stable_sort(breaks.begin(), breaks.end(),
                   [](const Break& a, const Break& b) { return a.position < b.position; });
  std::vector<std::string> seen;
  for (size_t i = 0; i < breaks.size();) {
    size_t end = i + 1;
    while (end < breaks.size() && breaks[end].position == breaks[i].position) ++end;
    const uint32_t until = end < breaks.size()
                               ? breaks[end].position
                               : std::max(shared_tokens, std::min(breaks[i].position + 1, now.prompt.tokens()));
    const double tokens =
        std::max(0.0, static_cast<double>(until) - static_cast<double>(breaks[i].position)) * price.scale;
    const double each = tokens / static_cast<double>(end - i);
    for (; i < end; ++i) {
      // The same cause twice in one request is one occurrence.
      std::string key = fmt::format("{}|{}|{}", breaks[i].place, static_cast<int>(breaks[i].kind),
                                    static_cast<int>(breaks[i].guess));
      if (std::find(seen.begin(), seen.end(), key) != seen.end()) continue;
      seen.push_back(std::move(key));
      add_priced(breaks[i], now, site, in_session, each, each * price.usd);
    }
  }
}

bool Collector::kind_of(const Entry& entry, Kind& kind) const {
  kind = entry.finding.kind;
  if (!entry.is_slot) return true;
  const auto pairs = session_pairs_.find(entry.site);
  const bool steady_inside = entry.in_session == 0 && pairs != session_pairs_.end() && pairs->second > 0;
  const bool few_values = entry.values.size() <= kMaxVariants;
  const bool variants = few_values && (entry.returned > 0 || (names_a_version(entry.label) && entry.across > 0));
  switch (entry.guess) {
    case Guess::kClock:
    case Guess::kDate: kind = Kind::kClock; return true;
    case Guess::kUser: kind = Kind::kUserIdentity; return true;
    case Guess::kUserId: kind = entry.in_session > 0 ? Kind::kRandomId : Kind::kUserIdentity; return true;
    case Guess::kId:
      kind = steady_inside || (entry.in_session == 0 && entry.returned > 0) ? Kind::kUserIdentity : Kind::kRandomId;
      return true;
    case Guess::kWorkspace: kind = Kind::kWorkspaceState; return true;
    case Guess::kBilling: kind = Kind::kBillingHeader; return true;
    case Guess::kWhitespace: kind = Kind::kWhitespaceDrift; return true;
    case Guess::kNumber:
    case Guess::kOther: break;
  }
  if (entry.in_session == 0) {
    kind = Kind::kPromptVariants;
    return variants;
  }
  if (entry.in_tools && entry.guess == Guess::kOther)
    kind = Kind::kToolSet;
  else if (variants && (entry.guess == Guess::kOther || names_a_version(entry.label)))
    kind = Kind::kPromptVariants;
  else
    kind = Kind::kWorkspaceState;
  return true;
}

std::vector<Finding> Collector::findings() const {
  std::vector<Finding> out;
  std::map<std::string, size_t> merged;  // variants differ in many places of one text: one finding
  for (const auto& [key, entry] : entries_) {
    Finding finding = entry.finding;
    if (!kind_of(entry, finding.kind)) continue;
    if (finding.kind == Kind::kPromptVariants) {
      const auto [it, fresh] = merged.emplace(fmt::format("{}|{}", entry.site, finding.path), out.size());
      if (!fresh) {
        Finding& whole = out[it->second];
        whole.occurrences = std::max(whole.occurrences, finding.occurrences);
        whole.tokens += finding.tokens;
        whole.cost_usd += finding.cost_usd;
        if (std::pair(finding.request, finding.byte_offset) < std::pair(whole.request, whole.byte_offset)) {
          whole.request = finding.request;
          whole.byte_offset = finding.byte_offset;
          whole.bytes = finding.bytes;
          whole.before = finding.before;
          whole.after = finding.after;
        }
        continue;
      }
    }
    out.push_back(std::move(finding));
  }
  std::stable_sort(out.begin(), out.end(), [](const Finding& a, const Finding& b) {
    return std::tuple(a.request, a.byte_offset, a.kind) < std::tuple(b.request, b.byte_offset, b.kind);
  });
  return out;
}

}  // namespace payonce::prefix
