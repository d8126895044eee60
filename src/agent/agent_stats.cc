// What the agent cache says of itself, and how it follows what others do to the store.
#include "agent/agent_cache.h"
#include "agent/counters.h"

namespace payonce::agent {

AgentCache::~AgentCache() = default;

AgentCache::KindStats AgentCache::stats(Kind kind) const {
  const KindCounters& counters = counters_->of(kind);
  const EntryIndex::Count count = index_.count(kind);
  KindStats out{.hits = counters.hits,
                .entries = count.entries,
                .bytes = count.bytes,
                .by_meaning = counters.by_meaning,
                .dropped = counters.dropped,
                .saved_input_tokens = counters.input,
                .saved_output_tokens = counters.output,
                .saved_usd = counters.saved_usd.value()};
  for (size_t i = 0; i < kReasons.size(); ++i) {
    out.reasons[i] = counters.reasons[i];
    out.misses += out.reasons[i];
  }
  return out;
}

void AgentCache::show() const {
  for (const Kind kind : kKinds) {
    const EntryIndex::Count count = index_.count(kind);
    counters_->of(kind).entries.set(static_cast<double>(count.entries));
    counters_->of(kind).bytes.set(static_cast<double>(count.bytes));
  }
}

AgentCache::Explained AgentCache::explain(const std::string& id, std::string_view credential) {
  Explained out{.entry = index_.find_id(id), .changed = {}};
  if (out.entry && !credential.empty() && out.entry->credential != credential) out.entry = nullptr;
  if (out.entry) out.changed = observer_.changed(out.entry->observed, {});
  std::erase_if(out.changed, [](const Dependency& dep) { return !is_on_disk(dep.type); });  // nobody named them now
  return out;
}

void AgentCache::forget_what_is_gone() {
  index_.erase_if([this](const Entry& entry) {
    const cache::Found found = parts_.store.find(entry.key);
    return !found.entry && found.reason != cache::MissReason::kOnDisk;
  });
}

}  // namespace payonce::agent
