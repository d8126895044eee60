// The way into this module: a request in, a plan out (what to send, and what the provider should have of it), and
// what was billed back in. Threads: all any.  Bounded: every table inside has a limit.  Never throws for a request
// that it does not understand: the plan then changes nothing.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "llm/request.h"
#include "llm/response.h"
#include "prefix/arrangement.h"
#include "prefix/breakpoints.h"
#include "prefix/call_sites.h"
#include "prefix/compaction/live_sessions.h"
#include "prefix/context/context.h"
#include "prefix/first_writes.h"
#include "prefix/routing_keys.h"
#include "prefix/spelling_book.h"
#include "prompt_cache/rules.h"

namespace payonce::prefix {

enum class Mode : uint8_t {
  kOff,
  kObserve,     // learn and say what would be done; the body stays as it came
  kSafe,        // what does not change what the model reads: order of tools, spelling, breakpoints, cache key
  kAggressive,  // and what moves text: volatile lines of the system prompt go behind the last breakpoint
};

// What was, or would be, done to a request.
enum class Act : uint8_t {
  kToolsOrdered,
  kRespelled,
  kMoved,
  kBillingStripped,
  kMarked,    // a breakpoint where the client set none
  kUnmarked,  // one of the client's taken away
  kKeyed,     // prompt_cache_key
  kDocumentsOrdered,
  kDocumentsFirst,  // moved before the words in front of them
  kDocumentsApart,  // in a part of their own
  kRepeatsDropped,
  kCompactionRewritten,  // behind the prefix of the session that it summarises
};
inline constexpr size_t kActs = 12;
std::string_view act_name(Act act);

struct Asked {
  const llm::Request& request;
  std::string_view account;  // whose prompt cache it is: upstream and credential
  std::string_view scope;    // whose spelling of a conversation may be given to whom
  prompt_cache::Rule rule;   // of the upstream for this model
  Mode mode = Mode::kObserve;
  bool strip_billing = false;  // the upstream is not Anthropic's
  bool order_documents = false;
  bool drop_repeats = false;        // of documents
  bool rewrite_compaction = false;  // and remember sessions for it
  int64_t now_ms = 0;               // Unix time
};

struct Plan {
  std::optional<base::Bytes> body;  // to send instead; none: the client's, byte for byte
  std::array<uint32_t, kActs> acts{};
  base::Hash128 site;
  uint64_t site_requests = 0;  // before this one
  std::string fault;           // not empty: the plan was dropped, and why
  std::vector<Mark> marks;
  double tokens_ratio = 1;     // billed for estimated ones, at this site; already in the estimates below
  uint32_t tokens = 0;         // estimate: of the prompt
  uint32_t shared_tokens = 0;  // estimate: of its front that an earlier request had
  uint32_t read_tokens = 0;    // estimate: of it, written and alive
  uint64_t gate_number = 0;    // for answered()
  uint64_t ticket = 0;         // of the prefixes that it writes; for begun()
  // Not zero: another request is writing this prefix, of which much of this one consists; see wait().
  base::Hash128 wait_for;
  bool acted() const;
};

class Optimizer {
 public:
  struct Options {
    std::string seed;  // of the hashes that are kept; of the data directory
    size_t max_spelling_bytes = 48u << 20;
    size_t max_site_bytes = 48u << 20;     // call sites and their system texts
    size_t max_session_bytes = 48u << 20;  // last requests of live sessions
  };
  explicit Optimizer(Options options);

  Plan plan(const Asked& asked);
  // Calls `then` when the prefix that the plan waits for can be read; false: it can be now.
  bool wait(const Plan& plan, std::function<void()> then) {
    return first_writes_.wait(plan.wait_for, std::move(then));
  }
  // The answer to a planned request has begun, or the request has failed. Once for each plan.
  void begun(const Plan& plan) { first_writes_.done(plan.ticket); }
  // What was billed for a request that went as planned.
  void answered(const Plan& plan, const llm::Usage& billed);

  // How many pings what is written is worth, from the gaps of the traffic so far.
  uint32_t pings_worth(const TtlPrices& prices) { return breakpoints_.pings_worth(prices); }

  // What was learned, for the next start; spellings are not kept. load(): kCorrupt, and nothing is taken.
  std::string save();
  base::Status load(std::string_view bytes);

  std::vector<CallSites::Summary> sites(size_t limit) const { return sites_.summaries(limit); }

  struct Sizes {
    size_t sites = 0, spelling_bytes = 0;
    size_t sessions = 0, session_bytes = 0;  // remembered for compaction calls
  };
  Sizes sizes() const;

 private:
  Plan planned(const Asked& asked, const Prompt& prompt);
  Plan rewritten(const Asked& asked, const Prompt& prompt);  // of another body that says the same, or of this one
  Plan with_documents(const Asked& asked, const Prompt& prompt);
  void respell(const Asked& asked, const Prompt& prompt, Arrangement& arrangement);
  void set_cache_key(const Asked& asked, const Prompt& prompt, const SiteView& site, Arrangement& arrangement,
                     Plan& plan);
  void mark(const Asked& asked, const Prompt& prompt, const SiteView& site, const Arrangement& arrangement,
            Plan& plan);
  static void strip_billing(const Prompt& prompt, Arrangement& arrangement, Plan& plan);

  const base::KeyedHash hash_;
  CallSites sites_;
  Breakpoints breakpoints_;
  FirstWrites first_writes_;
  RoutingKeys routing_keys_;
  SpellingBook spellings_;
  ContextArranger context_;
  LiveSessions sessions_;
};

}  // namespace payonce::prefix
