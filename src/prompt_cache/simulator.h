// What a provider would have read from its prompt cache, written to it and billed fresh, request by request.
// Threads: one at a time.  Time is the requests' own, nothing is measured.  Memory: `Limits::positions` prefixes.
//
// A prompt is a list of blocks, the smallest pieces that the caller tells apart: two prompts have in common what
// their first equal blocks hold. Providers that match token by token could find a little more inside the first block
// that differs; so reads are a lower bound there, exact when blocks are single pieces of content.
//
// Rules (each from the row of data/providers.json that it names):
// - written positions (Anthropic, OpenAI from GPT-5.6 on, Qwen and MiniMax by cache_control, Bedrock, CachedContent):
// a
//   hit is the longest prefix within a look-back of a breakpoint that an earlier request WROTE as a position of its
//   own, still alive at the start of this request and readable by then. All up to it (A) is read; up to the last long
//   breakpoint (B) written long; up to the last breakpoint (C) written short; the rest is fresh. Reading starts the
//   TTL of the position anew, and of the breakpoints before it.
// - longest common prefix (older OpenAI, Gemini, xAI, Kimi, vLLM, …): whole steps of `increment_tokens`.
// - slots (llama.cpp): the common prefix with the last prompt of the most similar slot.
// - persisted units (DeepSeek): the end of an input, the end of an answer, a common prefix once two requests had it,
//   and fixed intervals.
// Not simulated: spilling to other machines at high rates, evictions before the TTL, a provider's restarts.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "llm/response.h"
#include "prompt_cache/positions.h"
#include "prompt_cache/rules.h"

namespace payonce::prompt_cache {

struct SimBlock {
  base::Hash128 hash;  // of the content as sent
  uint32_t tokens = 0;
  Level level = Level::kMessages;
  Ttl mark = Ttl::kNone;  // a breakpoint after this block
  bool markable = true;   // may carry a breakpoint (not: thinking; on OpenAI assistant messages, tools, instructions)
  bool message_end = false;  // the last block of a message
};

struct SimRequest {
  int64_t at_ms = 0;        // start, Unix time; REQUIRES: not before the previous request's
  int64_t readable_ms = 0;  // first byte of the answer: from then on its writes can be read
  int64_t done_ms = 0;      // last byte; 0: as readable_ms
  std::string_view model;
  std::string_view account;      // whoever shares a cache: organisation, workspace, salt
  std::string_view routing_key;  // prompt_cache_key and the like
  std::span<const SimBlock> blocks;
  std::span<const SimBlock> answer;  // as it would come back in the next prompt; may be empty
  // Digests of the parameters whose change makes everything, system and messages, or messages another prefix.
  base::Hash128 invalidates_all, invalidates_system, invalidates_messages;
  bool automatic = false;          // Anthropic: top-level cache_control. OpenAI from GPT-5.6 on: implicit mode
  Ttl automatic_ttl = Ttl::kNone;  // of that mark, or of a prompt that needs none; kNone: the provider's default
  int64_t output_tokens = 0;       // only handed on to usage()
};

enum class Miss : uint8_t {
  kNone,             // all that could be expected was read
  kUnmarked,         // the request marks nothing, and the provider does not either
  kBelowMinimum,     // every breakpoint (or the whole prompt) is too short
  kCold,             // no earlier request began like this
  kChanged,          // an earlier request went on to a written position, this one differs at `common_blocks`
  kExpired,          // written, but too long ago
  kNotReadable,      // being written right now by a request whose answer has not begun
  kOutsideLookback,  // written, but too many positions before the breakpoint
  kUnwritten,        // the common part ends where nothing was written
};
std::string_view miss_name(Miss miss);  // snake_case

struct Billed {  // tokens
  int64_t fresh = 0, read = 0, write_short = 0, write_long = 0;
  int64_t output = 0;

  Miss miss = Miss::kNone;
  int64_t expected = 0;      // the position that was there to be read, had nothing stood in the way
  int64_t common = 0;        // the longest prefix that any earlier request had, too
  size_t common_blocks = 0;  // the same in blocks: blocks[common_blocks] is the first that is new here

  int64_t input() const { return fresh + read + write_short + write_long; }
  llm::Usage usage() const;
};

// In units of the price of one uncached input token.
double cost(const Billed& billed, const Rule& rule);

class Simulator {
 public:
  struct Limits {
    size_t positions = size_t{1} << 20;  // prefixes remembered; the least recently seen go first
  };
  // `provider` must outlive the simulator.
  explicit Simulator(const Provider& provider, Limits limits);
  explicit Simulator(const Provider& provider) : Simulator(provider, Limits{}) {}

  // Bills the request and remembers what it wrote. kInvalid when the provider would refuse its marks (a fifth
  // breakpoint, a long one after a short one, one on a block that cannot carry it) or when it comes before an earlier
  // one; nothing is remembered then.
  base::Result<Billed> run(const SimRequest& request);
  const Rule& rule(std::string_view model);
  size_t positions() const { return positions_.size(); }

 private:
  struct Step {  // the prefix that ends after one block
    base::Hash128 hash;
    int64_t tokens = 0;
  };
  struct Mark {
    size_t block = 0;
    Ttl ttl = Ttl::kShort;
    bool implicit = false;
  };
  struct Slot {
    std::vector<base::Hash128> path;
    int64_t used_ms = INT64_MIN;
  };
  struct Found {
    size_t steps = 0;  // that are read; 0: none
    Miss miss = Miss::kNone;
  };

  void follow(const SimRequest& request);  // fills path_
  base::Result<std::vector<Mark>> marks_of(const SimRequest& request, const Rule& rule) const;
  base::Result<void> add_automatic(const SimRequest& request, const Rule& rule, std::vector<Mark>& marks) const;
  void look_common(Billed& out);
  std::vector<bool> candidates(const SimRequest& request, const std::vector<Mark>& marks) const;
  size_t find_written(const SimRequest& request, const std::vector<bool>& candidates, bool sees_implicit) const;
  Miss explain(const SimRequest& request, const Billed& billed, size_t hit) const;
  bool alive(const Position& position, int64_t at_ms) const;
  int64_t readable_from(const SimRequest& request) const;

  void run_written(const SimRequest& request, const Rule& rule, const std::vector<Mark>& marks, Billed& out);
  void run_prefix(const SimRequest& request, const Rule& rule, Billed& out);
  void run_slots(const SimRequest& request, const Rule& rule, Billed& out);
  void run_units(const SimRequest& request, const Rule& rule, Billed& out);
  void bill_read(const Rule& rule, Ttl ttl, int64_t tokens, Billed& out) const;
  void write(const SimRequest& request, const Rule& rule, const Step& step, Ttl ttl, bool implicit);
  void remember(const SimRequest& request, int64_t reach_tokens);

  const Provider& provider_;
  const base::KeyedHash hash_;
  PositionStore positions_;
  std::map<std::string, Rule, std::less<>> rules_;  // by model; bounded like positions_
  std::vector<Slot> slots_;
  std::vector<Step> path_;  // of the request at hand; then its answer's steps
  size_t prompt_steps_ = 0;
  int64_t last_ms_ = INT64_MIN;
};

}  // namespace payonce::prompt_cache
