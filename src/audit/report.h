// What an audit says: everything that the JSON, the page and the terminal show, from one log and its replay.
// Threads: values.  Money: USD. Requests are named by their index in the order of time, from 0.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "audit/latency_model.h"
#include "audit/options.h"
#include "audit/replayed.h"
#include "history/log.h"
#include "history/rebuilds.h"
#include "prefix/breakers/finding.h"

namespace payonce::audit {

struct Money {
  double uncached = 0;  // had no provider cached anything
  double actual = 0;    // as billed
  double with = 0;      // with Payonce in front
  Money& operator+=(const Money& other);
};

// What one call cost: all of it, and its input alone.
struct CallCost {
  Money all, input;
  bool priced = false;  // the table knows the model
};
// The row of the call's day; without a time: today's. Null: the table does not know the model.
const llm::PriceRow* price_row(const history::Call& call, const llm::PriceTable& prices);
CallCost cost_of(const history::Call& call, const Replayed& replayed, const llm::PriceTable& prices);

struct Layer {
  std::string_view name;           // "exact", "semantic", "prefix"
  size_t hits = 0;                 // that it answered, or whose input it made cheaper
  size_t requests = 0;             // that came to it: what the layer before left
  int64_t input_tokens_saved = 0;  // of the prefix layer: that are read from the provider's cache instead
  double cost_saved_usd = 0;
  double input_cost_saved_usd = 0;
  double latency_saved_ms = 0;  // all together
  bool certain = true;          // false: a person should look at examples first
  std::string why;              // of `certain`
};

struct Latency {
  size_t calls = 0;  // whose latency the log tells
  double actual_mean_ms = 0, with_mean_ms = 0;
  double actual_p50_ms = 0, with_p50_ms = 0, actual_p95_ms = 0, with_p95_ms = 0;
  LatencyModels models;
};

struct ModelShare {
  std::string model, provider;
  size_t requests = 0;
  llm::Usage usage;
  Money cost;
  bool priced = true;
};

struct Step {  // one call in a session's line of time
  size_t request = 0;
  int64_t at_ms = 0;
  int64_t had = 0;  // tokens that the one before had left in the provider's cache
  llm::Usage usage, with;
  Took took = Took::kUpstream;
  int rebuild = -1;  // index into Report::rebuilds
};

struct SessionShare {
  std::string name;
  size_t requests = 0;
  llm::Usage usage;
  Money cost;
  std::vector<Step> steps;
};

struct Told {  // a breaker
  prefix::Finding finding;
  size_t file = 0;
  uint64_t line = 0;
};

struct Repeat {  // calls that got, or would have got, one answer
  std::vector<size_t> requests;
  double cost_usd = 0;  // of all but the first
  std::string example;  // what was asked, shortened; empty where nothing may be shown
};

struct Paraphrase {  // a question that was answered by another one's answer
  size_t request = 0, source = 0;
  float similarity = 0;
  bool same_answer = false;
  std::string question, matched;  // shortened; empty where nothing may be shown
};

struct GapBucket {
  int64_t to_ms = 0;  // from the one before's; -1: no end
  size_t count = 0;
};
struct TtlChoice {
  std::string name;  // "5 minutes", "1 hour", "5 minutes, kept alive up to 1 hour"
  double cost_usd = 0;
};
struct Gaps {
  std::vector<GapBucket> buckets;
  std::vector<TtlChoice> choices;  // the cheapest first; empty where no provider of the log bills writes
};

struct Move {  // to another model at its list price, with the hit rate that was seen
  std::string provider, model;
  double cost_usd = 0, with_payonce_usd = 0;
};

struct Fix {
  std::string name;
  double alone_usd = 0;     // saved were it the only one
  double in_order_usd = 0;  // on what those before it left
  bool certain = true;
};

struct Trial {  // the same log under another setting
  std::string setting, value;
  bool chosen = false;
  double cost_usd = 0, latency_mean_ms = 0;
  size_t hits = 0;  // answered by us; of a provider's rules: that read from its cache
};

struct ToolRepeats {
  size_t calls = 0, repeated = 0;                       // same name and arguments within a session
  std::vector<std::pair<std::string, size_t>> by_tool;  // repeated ones, most first
};

struct Simulated {  // against what was billed, where the log tells both
  size_t calls = 0;
  int64_t read = 0, billed_read = 0, written = 0, billed_written = 0;
};

struct Report {
  size_t requests = 0, skipped = 0, duplicates = 0, without_body = 0, without_answer = 0;
  int64_t from_ms = 0, to_ms = 0;
  double billed_usd = -1;  // sum of what the log itself names; -1: it names nothing
  llm::Usage actual, with;
  bool output_is_floor = false;
  Money cost, input_cost;
  Latency latency;
  std::vector<Layer> layers;
  std::array<size_t, prefix::kActs> acts{};  // requests to which the prefix layer would have done this
  std::vector<ModelShare> models;
  std::vector<SessionShare> sessions;  // the dearest first
  size_t sessions_in_all = 0;
  std::vector<history::Rebuild> rebuilds;
  std::vector<Told> findings;  // the dearest first
  std::vector<Repeat> repeats;
  std::vector<Paraphrase> paraphrases;
  Gaps gaps;
  std::vector<Move> migration;  // the cheapest first
  std::vector<Fix> fixes;
  std::vector<Trial> trials;
  ToolRepeats tools;
  Simulated simulated;
  std::vector<std::string> notes;  // what the reader must know
};

}  // namespace payonce::audit
