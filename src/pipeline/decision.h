// What the first half of the pipeline says of a request, and what the second half is told of its outcome.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "cache/entry.h"
#include "cache/response_store.h"
#include "llm/dialect.h"
#include "llm/response.h"
#include "net/message.h"
#include "pipeline/asked_question.h"
#include "pipeline/directives.h"
#include "pipeline/policy.h"
#include "prefix/optimizer.h"
#include "route/placement.h"
#include "route/routes.h"

namespace payonce::pipeline {

// A request as it came in. Views and references live as long as the exchange that holds them.
struct Incoming {
  const net::RequestHead& head;
  const base::Bytes& body;
  llm::Dialect dialect;
};

// What is known of a request from its bytes alone: computed once, then found by the hash of those bytes (L0).
struct Prepared {
  llm::Dialect dialect = llm::Dialect::kOther;
  std::string key;       // CacheKey::text()
  std::string scope;     // Caller::scope_id
  std::string caller;    // Caller::name: ledger and logs
  std::string versions;  // canonical version tags
  std::string model;
  bool stream = false;
  bool include_usage = false;
  bool sampled = false;                        // temperature > 0, or none given
  std::vector<route::UpstreamPtr> candidates;  // in the order of the configuration; never empty
};
using PreparedPtr = std::shared_ptr<const Prepared>;

enum class Outcome : uint8_t { kHit, kMiss, kBypass, kStale };
std::string_view outcome_name(Outcome outcome);

// RFC 9211 2.2: why a request goes forward.
enum class Forwarded : uint8_t { kMiss, kBypass, kStale, kRequest };
std::string_view forwarded_name(Forwarded why);

struct Forward;
struct ReadPrompt;  // route_stage.h
using PrefixPlanPtr = std::shared_ptr<const prefix::Plan>;

// An identified request, what its caller wants of the cache, and the policy that it began with.
struct Request {
  PreparedPtr prepared;
  Directives directives;
  PolicyPtr policy;
  cache::MissReason exact_miss = cache::MissReason::kCold;  // where the exact layer was asked and had nothing
};

// An answer from a cache layer.
struct Answer {
  PreparedPtr prepared;
  cache::EntryPtr entry;
  base::Bytes body;               // in the caller's framing
  std::string_view content_type;  // lives as long as `entry`, or static
  std::string_view layer;         // "exact", "semantic"
  int64_t age_s = 0;
  int64_t ttl_s = 0;
  // Of a semantic hit:
  float similarity = 0;                // cosine of the two questions
  std::string hit_id;                  // for feedback
  std::shared_ptr<Forward> ask_again;  // not null: ask upstream as well, for a label; nobody waits for it
};

// Not to be served: answered in the dialect's error shape.
struct Refusal {
  int status = 400;
  std::string message;
  std::string_view reason;    // metrics: bad, auth, limit, rate, budget, route, only_if_cached
  int64_t retry_after_s = 0;  // 0: none
};

// The entry is on disk: call Pipeline::load() on the worker pool, then act on what it returns.
struct Load {
  Request request;
  AskedQuestionPtr lookup;  // not null: what its best candidate answers
};

// No answer to exactly this; one to the same question in other words is looked for: call Pipeline::search().
struct Search {
  Request request;
  AskedQuestionPtr lookup;
};

// To an upstream.
struct Forward {
  PreparedPtr prepared;  // null: passes through untouched and unrecorded
  std::string scope;     // Caller::scope_id, of what passes through as well: whose KV a local engine may use for it
  Directives directives;
  Forwarded why = Forwarded::kBypass;
  bool store = false;                                       // a complete, successful answer is written
  bool collapse = false;                                    // may join, or be joined by, an equal request in flight
  std::vector<route::UpstreamPtr> candidates;               // in order of preference; never empty
  route::UpstreamKind wire = route::UpstreamKind::kOpenAi;  // whose paths the request speaks
  PolicyPtr policy;                                         // that the request began with
  AskedQuestionPtr lookup;  // of the semantic layer, or null: the answer labels it and joins its group
  bool was_served = false;  // by the semantic layer; asked again for a label
  int64_t started_us = 0;   // monotonic
  std::string_view detail;  // for Cache-Status, or empty (static text)
  cache::MissReason exact_miss = cache::MissReason::kCold;  // of kMiss, where the exact layer was asked
  uint64_t id = 0;                                          // of its explanation; 0: none
  PrefixPlanPtr prefix;  // what the prefix layer made of it, for candidates.front(); null: nothing (yet)
  std::shared_ptr<const ReadPrompt> read;  // until arrange(): the body as routing reads it; null: not yet
  std::shared_ptr<route::Trip> trip;       // from arrange() on: what becomes of it, for where the next ones go
  base::Bytes body;                        // as the client sent it; empty: no layer looks at it
  bool observe_only = false;               // the prefix layer plans when the answer is out, to learn
};

using Decision = std::variant<Answer, Refusal, Load, Search, Forward>;

// A whole answer of an upstream.
struct Recorded {
  int status = 200;
  std::string content_type;
  std::string body;
  std::vector<uint32_t> pace_ms, pace_offset;
};

// What is known of it.
struct Judged {
  bool complete = false;
  bool store = false;  // complete, and wanted: it is stored
  llm::Form form = llm::Form::kJson;
  llm::Usage usage;
  double cost_usd = 0;
  std::string reason;         // why it is not complete
  std::string upstream;       // that answered, by name
  std::string provider_says;  // why its cache was not read, where the answer tells (llm::Analysis::cache_miss_reason)
};

// What is left of it when it is stored, or not.
struct Kept {
  Judged judged;
  bool is_answer = false;  // else there is nothing to settle
  base::Bytes body;        // the entry's, if it is stored
  int64_t expires_ms = 0;
};

}  // namespace payonce::pipeline
