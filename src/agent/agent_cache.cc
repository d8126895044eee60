#include "agent/agent_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "agent/counters.h"
#include "agent/workspace/secrets.h"
#include "base/hash.h"
#include "base/log.h"
#include "net/field_list.h"

namespace payonce::agent {
namespace {

constexpr size_t kTicketBytes = 16;
constexpr size_t kRecalled = 10'000'000;  // entries read at a start, at most

// What differs says why: another version of the same, another scope, or other parts.
Reason reason_of(const Nearest& nearest) {
  if (!nearest.entry) return Reason::kCold;
  bool version = false;
  for (const std::string& name : nearest.changed) {
    if (name.starts_with("parts.")) return Reason::kParts;
    version = version || name.starts_with("versions.");
  }
  return version ? Reason::kVersion : nearest.changed.empty() ? Reason::kCold : Reason::kScope;
}

bool is_below(std::string_view path, std::string_view directory) {
  return path.starts_with(directory) && (directory.ends_with('/') || path.substr(directory.size()).starts_with('/'));
}

// On the path itself, on a tree above it, or on what lies below it.
bool depends_on(const Entry& entry, std::string_view path) {
  return std::any_of(entry.observed.begin(), entry.observed.end(), [&](const Observed& seen) {
    const Dependency& on = seen.dependency;
    if (!is_on_disk(on.type)) return false;
    return on.name == path || is_below(on.name, path) ||
           (on.type != DependencyType::kFile && is_below(path, on.name));
  });
}

bool selects(const Selection& selection, const Entry& entry) {
  if (!selection.id.empty()) return entry.id() == selection.id;
  if (!selection.version.empty()) return net::has_item(entry.versions, selection.version);
  if (!selection.path.empty()) return depends_on(entry, selection.path);
  if (selection.kind) return entry.kind == *selection.kind;
  bool all = !selection.scope_name.empty();
  net::for_each_item(selection.scope_name,
                     [&](std::string_view name) { all = all && net::has_item(entry.scope_names, name); });
  return all;
}

// The lease on a key ends when the value is there for those who wait, or when there will be none.
struct Release {
  Runs& runs;
  const std::string& key;
  bool published = false;
  ~Release() { runs.release(key, published); }
};

}  // namespace

AgentCache::AgentCache(Options options, Parts parts)
    : options_(options),
      parts_(parts),
      index_(options.memory_bytes),
      runs_(parts.clock, options.memory_bytes),
      observer_(parts.clock),
      counters_(std::make_unique<Counters>(parts.metrics)) {}

void AgentCache::recall() {
  size_t damaged = 0;
  for (const Kind kind : kKinds) {
    const cache::PurgeFilter mine{.key = std::string(kind_name(kind)) + ":*"};
    std::vector<cache::EntryInfo> infos = parts_.store.list(mine, kRecalled);
    for (auto info = infos.rbegin(); info != infos.rend(); ++info) {  // the oldest first, as they came
      if (index_.find(info->key)) continue;
      const cache::EntryPtr stored = parts_.store.load(info->key);
      if (!stored) continue;
      auto entry = read_entry(*stored);
      damaged += entry ? 0 : 1;
      if (entry)
        for (const std::string& gone : index_.insert(std::make_shared<const Entry>(*std::move(entry))))
          (void)parts_.store.erase(gone);
    }
  }
  if (damaged > 0) base::log_warn("agent cache: {} entries in the store cannot be read and are passed over", damaged);
  recalled_ = true;
}

// Until all is recalled the store may know what the index does not.
EntryPtr AgentCache::entry_of(const std::string& key, Mode mode, bool& blocking) {
  if (EntryPtr entry = index_.find(key)) return entry;
  if (recalled_) return nullptr;
  const cache::Found found = parts_.store.find(key);
  const bool on_disk = !found.entry && found.reason == cache::MissReason::kOnDisk;
  blocking = on_disk && mode == Mode::kQuick;
  if (blocking) return nullptr;
  const cache::EntryPtr stored = on_disk ? parts_.store.load(key) : found.entry;
  auto entry = stored ? read_entry(*stored) : base::fail(base::Code::kNotFound, "");
  return entry ? std::make_shared<const Entry>(*std::move(entry)) : nullptr;
}

// The entry under a key, if it may be given now.
AgentCache::Look AgentCache::published(const std::string& key, const Question& question, Mode mode) {
  bool blocking = false;
  const EntryPtr entry = entry_of(key, mode, blocking);
  if (blocking) return Blocking{};
  if (!entry) return std::monostate();
  const int64_t now_ms = parts_.clock.unix_ms();
  const bool too_old = question.max_age_s && now_ms - entry->created_ms > *question.max_age_s * 1000;
  if (entry->expires_ms <= now_ms || too_old) return Miss{.reason = Reason::kExpired};
  const bool rests_on_disk = std::any_of(entry->observed.begin(), entry->observed.end(),
                                         [](const Observed& seen) { return is_on_disk(seen.dependency.type); });
  if (rests_on_disk && mode == Mode::kQuick) return Blocking{};
  std::vector<Dependency> stale = observer_.changed(entry->observed, question.deps);
  if (!stale.empty()) return Miss{.reason = Reason::kDependency, .stale = std::move(stale)};
  const cache::Found found = parts_.store.find(key);
  if (!found.entry && found.reason == cache::MissReason::kOnDisk && mode == Mode::kQuick) return Blocking{};
  const cache::EntryPtr stored = found.entry ? found.entry : parts_.store.load(key);
  if (!stored) {  // the store had to let it go
    (void)index_.erase(key);
    return std::monostate();
  }
  index_.touch(key);
  return Hit{.entry = entry, .value = value_of(*stored)};
}

Found AgentCache::look_up(const QuestionPtr& question, const Caller& caller, Mode mode,
                          const pipeline::AskedQuestionPtr& by_meaning) {
  const std::string key = key_of(*question, caller.scope_id);
  const EntryPtr before = index_.find(key);
  if (!question->run.empty()) {
    if (mode == Mode::kQuick) return Blocking{};
    if (auto own = runs_.pending(caller.credential_id, question->run, key)) {
      std::vector<Dependency> stale = observer_.changed(own->entry->observed, question->deps);
      if (!stale.empty()) {
        const Ticket ticket = make_ticket(question, caller, key, by_meaning);
        const bool first = runs_.open(ticket);
        return missed({.reason = Reason::kDependency, .stale = std::move(stale), .in_flight = !first}, ticket);
      }
      Hit hit{.entry = own->entry, .value = own->value, .pending = true};
      count_hit(hit, *question, caller);
      return hit;
    }
  }
  auto found = published(key, *question, mode);
  if (std::holds_alternative<Blocking>(found)) return Blocking{};
  if (auto* hit = std::get_if<Hit>(&found)) {
    count_hit(*hit, *question, caller);
    return std::move(*hit);
  }
  Miss miss;
  if (auto* why = std::get_if<Miss>(&found)) miss = std::move(*why);
  const bool nothing_yet = std::holds_alternative<std::monostate>(found);
  if (nothing_yet && !question->text.empty()) {
    auto same = by_intent(*question, caller, mode);
    if (std::holds_alternative<Blocking>(same)) return Blocking{};
    if (auto* hit = std::get_if<Hit>(&same)) {
      count_hit(*hit, *question, caller);
      return std::move(*hit);
    }
  }
  const bool wants_meaning = nothing_yet && parts_.meaning != nullptr && !question->text.empty();
  if (wants_meaning && !by_meaning) return Meaningful{};
  if (mode == Mode::kQuick && looks_at_disk(question->deps)) return Blocking{};
  if (wants_meaning) {
    if (auto hit = by_meaning_hit(*question, *by_meaning)) {
      count_hit(*hit, *question, caller);
      return *std::move(hit);
    }
  }
  if (question->wait_ms > 0 && runs_.is_open(key)) return Busy{};
  if (nothing_yet || question->explain) miss.nearest = index_.nearest(*question, caller);
  if (nothing_yet) miss.reason = reason_of(miss.nearest);
  const Ticket ticket = make_ticket(question, caller, key, by_meaning);
  miss.in_flight = !runs_.open(ticket, question->wait_ms > 0);
  if (miss.in_flight && question->wait_ms > 0) return Busy{};
  // Who computed it may have committed since we looked.
  if (const EntryPtr now = index_.find(key); now && now != before) {
    (void)drop_ticket(ticket.id, caller.credential_id);
    return look_up(question, caller, mode, by_meaning);
  }
  return missed(std::move(miss), ticket);
}

AgentCache::Look AgentCache::by_intent(const Question& question, const Caller& caller, Mode mode) {
  const EntryPtr same = index_.find_intent(intent_key(question, caller.scope_id));
  if (!same) return std::monostate();
  Look found = published(same->key, question, mode);
  if (auto* hit = std::get_if<Hit>(&found)) hit->by_intent = true;
  return found;
}

std::optional<Hit> AgentCache::by_meaning_hit(const Question& question, const pipeline::AskedQuestion& asked) {
  std::optional<Hit> out;
  if (asked.outcome == semantic::Outcome::kServe && !asked.candidates.empty()) {
    const semantic::Candidate& candidate = asked.candidates.front();
    auto found = published(candidate.key, question, Mode::kMayBlock);
    auto* hit = std::get_if<Hit>(&found);
    if (hit != nullptr && hit->entry->names == names_key(question)) {
      hit->similarity = candidate.similarity;
      out = std::move(*hit);
    }
  }
  std::string id = asked.read ? parts_.meaning->decided(asked, out.has_value()) : "";
  if (out) out->id = std::move(id);
  return out;
}

Ticket AgentCache::make_ticket(const QuestionPtr& question, const Caller& caller, const std::string& key,
                               const pipeline::AskedQuestionPtr& by_meaning) {
  Ticket ticket{.id = "t-" + base::random_hex(kTicketBytes),
                .key = key,
                .question = question,
                .caller = caller,
                .observed = {},
                .by_meaning = by_meaning,
                .expires_ms = parts_.clock.monotonic_us() / 1000 + Runs::kTtl_ms};
  for (const Dependency& dep : question->deps) {
    if (dep.type == DependencyType::kTool) continue;  // commit says which were used
    // What cannot be looked at never looks as it did: an entry that depends on it is no use to anybody.
    ticket.observed.push_back({{dep.type, dep.name, ""}, observer_.state(dep).value_or("unknown")});
  }
  return ticket;
}

Miss AgentCache::missed(Miss miss, const Ticket& ticket) {
  KindCounters& counters = counters_->of(ticket.question->kind);
  counters.reasons[static_cast<size_t>(miss.reason)].fetch_add(1, std::memory_order_relaxed);
  (miss.reason == Reason::kDependency ? counters.stale : counters.miss).add();
  miss.ticket = ticket.id;
  miss.key = ticket.key;
  return miss;
}

void AgentCache::when_free(const QuestionPtr& question, const Caller& caller, std::function<void()> wake) {
  runs_.when_closed(key_of(*question, caller.scope_id), std::move(wake));
}

void AgentCache::count_hit(const Hit& hit, const Question& question, const Caller& caller) {
  KindCounters& counters = counters_->of(hit.entry->kind);
  counters.hits.fetch_add(1, std::memory_order_relaxed);
  if (hit.similarity) counters.by_meaning.fetch_add(1, std::memory_order_relaxed);
  counters.hit.add();
  counters.saved_usd.add(hit.entry->cost_usd);
  counters.saved_tokens.add(static_cast<double>(hit.entry->input_tokens + hit.entry->output_tokens));
  counters.input.fetch_add(hit.entry->input_tokens, std::memory_order_relaxed);
  counters.output.fetch_add(hit.entry->output_tokens, std::memory_order_relaxed);
  if (parts_.ledger == nullptr) return;
  const llm::Usage usage{.fresh = hit.entry->input_tokens, .output = hit.entry->output_tokens};
  parts_.ledger->add_hit(caller.scope_id, question.model, "agent", usage, hit.entry->cost_usd);
}

// Whether the value may be stored; fills in what it depends on.
Drop AgentCache::why_not(const Ticket& ticket, const Commit& commit, std::vector<Observed>& observed) {
  if (commit.value.size() > options_.value_limit_bytes) return Drop::kTooLarge;
  if (holds_secret(commit.value)) return Drop::kSecret;
  observed = ticket.observed;
  for (const Dependency& dep : commit.deps) {
    const auto known = std::any_of(observed.begin(), observed.end(),
                                   [&](const Observed& seen) { return seen.dependency.same_thing(dep); });
    if (known) continue;
    observed.push_back({{dep.type, dep.name, ""}, observer_.state(dep).value_or("unknown")});
  }
  for (const Dependency& tool : ticket.question->deps)
    if (tool.type == DependencyType::kTool &&
        std::find(commit.used_tools.begin(), commit.used_tools.end(), tool.name) != commit.used_tools.end())
      observed.push_back({{tool.type, tool.name, ""}, tool.value});
  for (const Observed& seen : observed)
    if (seen.dependency.type == DependencyType::kFile && is_secret_path(seen.dependency.name)) return Drop::kSecret;
  return observer_.changed(observed, ticket.question->deps).empty() ? Drop::kNone : Drop::kDependency;
}

base::Result<Committed> AgentCache::commit(const Commit& commit, std::string_view credential) {
  const auto ticket = runs_.take(commit.ticket, credential);
  if (!ticket)
    return base::fail(base::Code::kNotFound,
                      "no such ticket: it was used, aborted or has expired, or is another credential's");
  Release release{.runs = runs_, .key = ticket->key};
  if (commit.pending && ticket->question->run.empty())
    return base::fail(base::Code::kInvalid, "outcome \"pending\" needs a run, named by the lookup");
  std::vector<Observed> observed;
  if (const Drop drop = why_not(*ticket, commit, observed); drop != Drop::kNone) {
    counters_->of(ticket->question->kind).dropped.fetch_add(1, std::memory_order_relaxed);
    return Committed{.entry = nullptr, .drop = drop};
  }
  const Question& question = *ticket->question;
  const int64_t now_ms = parts_.clock.unix_ms();
  auto entry = std::make_shared<const Entry>(
      Entry{.kind = question.kind,
            .key = ticket->key,
            .credential = ticket->caller.credential_id,
            .scope = ticket->caller.scope_id,
            .scope_names = ticket->caller.scope_names,
            .versions = question.versions,
            .tools_tag = question.tools_tag,
            .run = question.run,
            .nonce = base::random_hex(8),
            .intent = question.text.empty() ? "" : intent_key(question, ticket->caller.scope_id),
            .names = question.text.empty() ? "" : names_key(question),
            .parts = marks_of(question.parts),
            .observed = std::move(observed),
            .input_tokens = commit.usage.input(),
            .output_tokens = commit.usage.output,
            .cost_usd = commit.cost_usd ? *commit.cost_usd : parts_.price_usd(question.model, commit.usage),
            .created_ms = now_ms,
            .expires_ms = now_ms + commit.ttl_s.value_or(options_.ttl_s) * 1000,
            .value_bytes = commit.value.size()});
  Pending made{.entry = entry, .value = base::Bytes::copy(commit.value), .by_meaning = ticket->by_meaning};
  if (!commit.pending) {
    publish(made);
    parts_.store.write_out();
    release.published = true;
  } else if (!runs_.keep(question.run, std::move(made))) {
    return Committed{.entry = nullptr, .drop = Drop::kNoRoom};
  }
  return Committed{.entry = std::move(entry)};
}

void AgentCache::publish(const Pending& pending) {
  parts_.store.insert(stored_form(*pending.entry, pending.value.view()));
  for (const std::string& gone : index_.insert(pending.entry)) (void)parts_.store.erase(gone);
  if (pending.by_meaning && parts_.meaning != nullptr)
    parts_.meaning->learn(pending.by_meaning, pending.entry->key, pending.value.view(), pending.entry->expires_ms);
}

uint64_t AgentCache::publish(const std::string& run, std::string_view credential) {
  const std::vector<Pending> all = runs_.take_run(credential, run);
  for (const Pending& pending : all) publish(pending);
  parts_.store.write_out();
  return all.size();
}

base::Status AgentCache::drop_ticket(const std::string& ticket, std::string_view credential) {
  if (const auto taken = runs_.take(ticket, credential)) {
    runs_.release(taken->key, false);
    return {};
  }
  return base::fail(base::Code::kNotFound,
                    "no such ticket: it was used, aborted or has expired, or is another credential's");
}

uint64_t AgentCache::abort(const std::string& run, std::string_view credential) {
  runs_.drop_tickets(credential, [&](const Ticket& ticket) { return ticket.question->run == run; });
  return runs_.take_run(credential, run).size();
}

void AgentCache::erase(const std::string& key) {
  (void)index_.erase(key);
  (void)parts_.store.erase(key);
}

// A ticket is compared as the entry that it would become.
uint64_t AgentCache::invalidate(const Selection& selection, std::string_view credential) {
  runs_.drop_tickets(credential, [&](const Ticket& ticket) {
    return selects(selection, {.kind = ticket.question->kind,
                               .key = ticket.key,
                               .scope_names = ticket.caller.scope_names,
                               .versions = ticket.question->versions,
                               .observed = ticket.observed});
  });
  uint64_t removed =
      runs_.drop_pending(credential, [&](const Pending& pending) { return selects(selection, *pending.entry); });
  for (const std::string& key :
       index_.select(credential, [&](const Entry& entry) { return selects(selection, entry); })) {
    erase(key);
    ++removed;
  }
  return removed;
}

base::Status AgentCache::was_wrong(const std::string& entry, const std::string& hit, const Caller& caller) {
  const bool known = hit.empty() ? invalidate({.id = entry}, caller.credential_id) > 0
                                 : parts_.meaning != nullptr && parts_.meaning->was_wrong(hit, caller.scope_id);
  if (known) return {};
  return base::fail(base::Code::kNotFound, hit.empty()
                                               ? "no such entry of this credential"
                                               : "no such hit by meaning of this scope, or it is too long ago");
}

void AgentCache::session_ended(const std::string& session, std::string_view credential) {
  index_.demote(credential, "session:" + session);
}

}  // namespace payonce::agent
