// How each provider caches and bills the prefix of a prompt: a typed view of data/providers.json, one row a surface.
// Source of each rule: the row's `sources`, as of its `as_of`; docs/providers.md shows them all.
// Threads: read-only after load; pointers live as long as the program.  Factors are multiples of the uncached input
// price; what a token costs in money is llm::PriceTable's to say.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace payonce::prompt_cache {

// What a request must have in common with an earlier one to read from the cache.
enum class Match : uint8_t {
  kWrittenPositions,     // the whole prefix up to a position where an earlier request wrote an entry
  kLongestCommonPrefix,  // any common prefix, in steps of `increment_tokens`
  kPersistedUnits,       // the whole of a unit that the provider chose to keep (DeepSeek)
  kNone,
};
enum class Level : uint8_t { kTools, kSystem, kMessages };  // the parts of a prompt
enum class Ttl : uint8_t { kNone, kShort, kLong };          // kNone: no mark
enum class Automatic : uint8_t {                            // who marks the end of a prompt
  kNever,                                                   // the request alone
  kOnRequest,  // the provider, if a field at the top of the request asks for it (Anthropic)
  kImplicit,   // the provider, unless the request says that it marks itself (OpenAI from GPT-5.6 on)
  kAlways,     // there are no marks
};
enum class Marker : uint8_t { kNone, kCacheControl, kPromptCacheBreakpoint, kCachePoint, kCachedContent };
enum class Surplus : uint8_t { kError, kDropOldest };          // marks beyond the maximum
enum class LookbackOf : uint8_t { kPositions, kMessageEnds };  // what a look-back counts
enum class Visible : uint8_t { kFirstByte, kAfterAnswer };     // from when on a new entry can be read

struct TtlClass {
  std::string name;        // as the provider calls it
  int64_t ttl_ms = 0;      // since the START of the request that wrote or read; 0: until evicted
  int64_t max_age_ms = 0;  // since the first write, whatever is read; 0: none
  double write_factor = 1;
};

struct ModelRule {  // for models that match `pattern` ('*' stands for anything); what is absent is the provider's
  std::string pattern;
  std::optional<int64_t> min_tokens;
  std::optional<int64_t> increment_tokens;
  std::optional<double> read_factor;
};

struct StoragePrice {
  std::string pattern;
  int64_t from_ms = INT64_MIN;  // Unix time of its first day
  double usd_per_mtok_hour = 0;
};

struct UsageFields {  // where an answer tells; empty: it does not
  std::string fresh, read, write, write_long;
  bool input_includes_cached = true;  // is the input count the whole prompt, or what was neither read nor written?
};

struct Invalidates {  // which parameters, when changed, make which part of the prefix another one
  std::vector<std::string> all, system_and_messages, messages;
};

struct Routing {           // what leads equal prefixes to the same machine
  std::string field;       // of the body; empty: none
  std::string header;      // empty: none
  bool separates = false;  // requests with another value never share entries
  bool required = false;   // without it nothing is cached
};

struct Provider {
  std::string id, name;
  std::vector<std::string> hosts;  // ends of host names; detect() knows more
  Match match = Match::kNone;
  std::vector<Level> order;      // of the parts in the prefix
  int64_t min_tokens = 0;        // a shorter prefix is not cached
  int64_t increment_tokens = 1;  // reads are multiples of it
  int64_t leave_tokens = 0;      // so many tokens at the end are always computed
  int64_t interval_tokens = 0;   // persisted units: also at its multiples; 0: not
  int64_t slots = 0;             // only the last prompts of so many slots are kept; 0: no slots
  double read_factor = 1;
  std::vector<ModelRule> models;  // first match wins, field by field
  std::optional<TtlClass> short_ttl, long_ttl;
  Ttl default_ttl = Ttl::kShort;
  bool refresh_on_hit = true;
  bool bills_writes = false;    // written tokens are counted apart; else they count as fresh
  bool caches_answers = false;  // an answer that comes back in the next prompt needs not be computed again
  Automatic automatic = Automatic::kAlways;
  Marker marker = Marker::kNone;
  int64_t max_breakpoints = 0;
  Surplus surplus = Surplus::kError;
  int64_t lookback = 0;  // how far before a breakpoint entries are looked for, the breakpoint itself the first
  LookbackOf lookback_of = LookbackOf::kPositions;
  bool long_first = false;  // a long mark after a short one is an error
  Visible visible = Visible::kFirstByte;
  Routing routing;
  UsageFields usage;
  Invalidates invalidates;
  int64_t rate_per_minute = 0;  // requests of one prefix that stay on one machine; 0: not known
  std::vector<StoragePrice> storage;
  std::string isolation;
  std::string alternative;  // id of the row that holds when a request does (or does not) mark; empty: none
  std::string as_of;        // YYYY-MM or YYYY-MM-DD
  std::vector<std::string> assumed, notes, sources;
};

// One provider's rule for one model: what a simulation or a planner needs, resolved.
struct Rule {
  const Provider* provider = nullptr;  // never null
  int64_t min_tokens = 0;
  int64_t increment_tokens = 1;
  double read_factor = 1;
  TtlClass short_ttl, long_ttl;  // a provider with one class has it in both
  Ttl default_ttl = Ttl::kShort;

  const TtlClass& ttl(Ttl which) const { return which == Ttl::kLong ? long_ttl : short_ttl; }
  // USD per million tokens and hour that a cached prefix costs on that day; 0 where storage is free.
  double storage_usd_per_mtok_hour(std::string_view model, int64_t unix_ms) const;
};

Rule rule_for(const Provider& provider, std::string_view model);

enum class Wire : uint8_t { kOpenAi, kAnthropic };  // the dialect in which the upstream is called

class Providers {
 public:
  static const Providers& built_in();  // the embedded table
  const std::vector<Provider>& all() const { return rows_; }
  const Provider* find(std::string_view id) const;  // null when unknown
  // The row for an upstream, never null. By host name; then, on hosts that serve several makers (Bedrock, Google,
  // Azure, OpenRouter, gateways), by the model. A host that is not known (localhost, a proxy) is trusted to pass on
  // to the maker whose models nobody else serves (claude on the Anthropic wire, gpt- and o-models, gemini, grok on
  // the OpenAI wire); everything else there is "unknown": stable prefixes may help, nothing is promised.
  const Provider* detect(std::string_view base_url, std::string_view model, Wire wire) const;

 private:
  std::vector<Provider> rows_;
};

// docs/providers.md: all of the above as tables.
std::string providers_markdown();

// '*' stands for any characters, also none. Case of letters counts not.
bool matches(std::string_view pattern, std::string_view text);

// "openrouter/anthropic/claude-…" → "claude-…": rules go by the model's own name.
std::string_view own_name(std::string_view model);

std::string_view match_name(Match match);
std::string_view marker_name(Marker marker);  // as it is spelled in a request; "none"
std::string_view level_name(Level level);

}  // namespace payonce::prompt_cache
