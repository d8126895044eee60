// The agent cache: what a coding agent, or any loop around a model, has worked out once and need not work out again.
//
//   look_up() ─▶ Hit, or Stale (by what), or Miss (why), with a ticket
//   commit()  ─▶ a successful outcome is stored; anything else is not. "pending": for its own run alone, until
//   publish() ─▶ the run ended well: all of it is visible;  abort() ─▶ or none of it
//
// What is said to be stored outlives a kill of the process.
//
// An entry's dependencies (files, trees, repositories, values) are looked at again at each hit. What has changed
// since the lookup that named it makes the commit a drop: the value may be of either state.
//
// Values lie in the response store, with the answers of the gateway, under one budget; what is known of them lies in
// the index, which a start fills again from the store.
// Threads: all any. look_up(…, kMayBlock) and commit() may read files: not for an event loop.
// Errors: only what the caller did wrong. A fault of a store, a file or the embedder is a miss.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agent/entry.h"
#include "agent/entry_index.h"
#include "agent/meaning.h"
#include "agent/question.h"
#include "agent/runs.h"
#include "agent/workspace/observer.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "cache/response_store.h"
#include "record/ledger.h"

namespace payonce::agent {

enum class Reason : uint8_t { kCold, kVersion, kScope, kExpired, kParts, kDependency };
inline constexpr std::array kReasons{Reason::kCold,    Reason::kVersion, Reason::kScope,
                                     Reason::kExpired, Reason::kParts,   Reason::kDependency};
std::string_view reason_name(Reason reason);

struct Hit {
  EntryPtr entry;
  base::Bytes value;
  bool pending = false;
  bool by_intent = false;           // the same task with other manners
  std::optional<float> similarity;  // it was found by meaning, and `id` names the hit for feedback
  std::string id;
};
struct Miss {
  Reason reason = Reason::kCold;  // kDependency: there was an entry, but `stale` has changed
  std::vector<Dependency> stale;
  std::string ticket, key;
  bool in_flight = false;  // another caller computes it
  Nearest nearest;         // where the question asks to explain
};
struct Busy {};        // another caller computes it, and this one is willing to wait: see when_free()
struct Blocking {};    // it takes a look at the disk: ask again where that may be waited for
struct Meaningful {};  // look it up by meaning, then ask again
using Found = std::variant<Hit, Miss, Busy, Blocking, Meaningful>;

enum class Drop : uint8_t { kNone, kOutcome, kDependency, kSecret, kTooLarge, kNoRoom };
std::string_view drop_name(Drop drop);

struct Commit {
  std::string ticket;
  std::string_view value;  // JSON
  bool pending = false;    // for the run's own lookups, until publish()
  std::vector<Dependency> deps;
  std::vector<std::string> used_tools;  // where the lookup's tools_by_use
  std::optional<int64_t> ttl_s;
  llm::Usage usage;  // that the value cost, and a hit spares
  std::optional<double> cost_usd;
};
struct Committed {
  EntryPtr entry;  // null: dropped
  Drop drop = Drop::kNone;
};

// What an invalidation names: one of them.
struct Selection {
  std::string id, version, scope_name, path;
  std::optional<Kind> kind;
};

class AgentCache {
 public:
  struct Options {
    int64_t ttl_s = 7 * 24 * 3600;
    uint64_t memory_bytes = 256u << 20;  // of what is known of entries, of open tickets, of values that wait: each
    uint64_t value_limit_bytes = 8u << 20;
  };
  struct Parts {
    const base::Clock& clock;
    base::Metrics& metrics;
    cache::ResponseStore& store;
    record::Ledger* ledger = nullptr;  // null: nobody keeps book
    std::function<double(const std::string& model, const llm::Usage& usage)> price_usd;
    Meaning* meaning = nullptr;  // null: nothing is looked up by meaning
  };
  AgentCache(Options options, Parts parts);
  ~AgentCache();

  // Reads what the store holds into the index. Does I/O; lookups work meanwhile.
  void recall();

  enum class Mode { kQuick, kMayBlock };
  // `by_meaning`: how the look-up by meaning went, once it was made; see Meaning.
  Found look_up(const QuestionPtr& question, const Caller& caller, Mode mode,
                const pipeline::AskedQuestionPtr& by_meaning = nullptr);
  void when_free(const QuestionPtr& question, const Caller& caller, std::function<void()> wake);
  Meaning* meaning() { return parts_.meaning; }

  // kNotFound: no such ticket of that credential; kInvalid: pending without a run.
  base::Result<Committed> commit(const Commit& commit, std::string_view credential);
  base::Status drop_ticket(const std::string& ticket, std::string_view credential);  // kNotFound
  uint64_t publish(const std::string& run, std::string_view credential);
  uint64_t abort(const std::string& run, std::string_view credential);
  uint64_t invalidate(const Selection& selection, std::string_view credential);
  // An entry of that credential ("" : of any), and which of its dependencies look different now. Reads files.
  struct Explained {
    EntryPtr entry;  // null: none
    std::vector<Dependency> changed;
  };
  Explained explain(const std::string& id, std::string_view credential);
  // The agent found that what it was given, an entry or a hit by meaning, was wrong: it is not given again, and the
  // scope's threshold learns. kNotFound.
  base::Status was_wrong(const std::string& entry, const std::string& hit, const Caller& caller);
  void session_ended(const std::string& session, std::string_view credential);  // its entries go first
  void forget_what_is_gone();  // after the store was purged by others

  struct KindStats {
    uint64_t hits = 0, misses = 0, entries = 0, bytes = 0, by_meaning = 0, dropped = 0;
    std::array<uint64_t, kReasons.size()> reasons{};
    int64_t saved_input_tokens = 0, saved_output_tokens = 0;
    double saved_usd = 0;
  };
  KindStats stats(Kind kind) const;
  void show() const;  // the gauges, before they are read

 private:
  struct Counters;
  using Look = std::variant<std::monostate, Hit, Miss, Blocking>;  // monostate: nothing is there
  Look published(const std::string& key, const Question& question, Mode mode);
  Look by_intent(const Question& question, const Caller& caller, Mode mode);
  std::optional<Hit> by_meaning_hit(const Question& question, const pipeline::AskedQuestion& asked);
  Ticket make_ticket(const QuestionPtr& question, const Caller& caller, const std::string& key,
                     const pipeline::AskedQuestionPtr& by_meaning);
  Miss missed(Miss miss, const Ticket& ticket);
  EntryPtr entry_of(const std::string& key, Mode mode, bool& blocking);
  Drop why_not(const Ticket& ticket, const Commit& commit, std::vector<Observed>& observed);
  void publish(const Pending& pending);
  void erase(const std::string& key);
  void count_hit(const Hit& hit, const Question& question, const Caller& caller);

  const Options options_;
  const Parts parts_;
  EntryIndex index_;
  Runs runs_;
  Observer observer_;
  std::atomic<bool> recalled_{false};
  std::unique_ptr<Counters> counters_;
};

}  // namespace payonce::agent
