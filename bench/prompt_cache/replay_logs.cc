// prompt_cache_replay [--head-tokens N] [--cold] [--verbose] TRANSCRIPT.jsonl…
//
// Replays Claude Code transcripts through the simulator and compares what it says was read and written with what was
// billed. What a transcript does not hold is given, and the output says so:
// - how long each prompt is, and where its last breakpoint was (what the usage calls input_tokens comes after it);
// - the head (tools and system prompt): its length; by default what the first request after a compaction read;
// - what earlier sessions had written of the head before the log begins (what each first request read); not by
// --cold.
//
// Three runs: with the messages alone; with a rule of the client that such logs show (a <task-notification> turn
// makes all after the head another prefix; anthropics/claude-code issue 64901 reports the same of other sessions);
// with the requests given at which something invisible changed.
//
// Exit code: 0 when the third run reads and writes within 2 % of what was billed, 2 when it does not.
#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>

#include "llm/prices.h"
#include "prompt_cache/simulator.h"
#include "prompt_cache/transcript.h"

namespace payonce::prompt_cache {
namespace {

constexpr double kAllowedShare = 0.02;
constexpr int64_t kRebuildTokens = 10'000;  // so much less than foreseen was read: something invisible changed

struct Options {
  std::vector<std::string> files;
  int64_t head_tokens = 0;  // 0: from the log
  bool cold = false;
  bool verbose = false;
};

struct Heads {
  std::vector<int64_t> tokens;  // [session] tools and system prompt
  std::vector<int64_t> warm;    // [session] what earlier sessions had written of it
};

struct Replay {
  llm::Usage simulated, billed;
  double simulated_usd = 0, billed_usd = 0;
  size_t exact = 0;
  std::set<size_t> read_too_much;  // requests at which something invisible must have changed
};

Heads heads_of(const Log& log, const Options& options) {
  Heads out{.tokens = std::vector<int64_t>(log.sessions.size()), .warm = std::vector<int64_t>(log.sessions.size())};
  for (const LoggedRequest& request : log.requests) {
    if (request.first && !options.cold) out.warm[request.session] = request.usage.read;
    if (request.compacted) out.tokens[request.session] = request.usage.read;
  }
  if (options.head_tokens > 0)
    for (int64_t& tokens : out.tokens)
      if (tokens > 0) tokens = options.head_tokens;
  return out;
}

// The head in two blocks: what earlier sessions had written, and the rest. Claude Code marks both, and the last
// block.
std::vector<SimBlock> prompt_of(const Log& log, const Heads& heads, const LoggedRequest& request, Ttl ttl) {
  std::vector<SimBlock> out;
  const int64_t warm = heads.warm[request.session];
  const auto head = [&](uint64_t part, int64_t tokens) {
    if (tokens <= 0) return;
    out.push_back({.hash = {.low = part, .high = request.session},
                   .tokens = static_cast<uint32_t>(tokens),
                   .level = Level::kSystem,
                   .mark = ttl});
  };
  head(1, warm);
  head(2, heads.tokens[request.session] - warm);
  const auto& pieces = log.sessions[request.session].pieces;
  const auto add = [&](const Piece& piece) {
    out.push_back({.hash = piece.hash, .tokens = static_cast<uint32_t>(piece.tokens), .markable = piece.markable});
  };
  if (request.copied.empty())
    for (size_t i = request.begin; i < request.end; ++i) add(pieces[i]);
  else
    for (const Piece& piece : request.copied) add(piece);
  out.back().mark = ttl;
  out.back().markable = true;
  out.push_back({.hash = {}, .tokens = static_cast<uint32_t>(request.usage.fresh)});
  return out;
}

// What earlier sessions wrote: their prompts ended with the first part of this head.
void warm_up(Simulator& simulator, const LoggedRequest& request, std::vector<SimBlock> blocks) {
  SimRequest before;
  before.at_ms = before.readable_ms = request.at_ms;
  before.model = request.model;
  before.account = "account";
  blocks.resize(1);
  before.blocks = blocks;
  if (!simulator.run(before)) std::abort();
}

Replay replay(const Log& log, const Heads& heads, bool client_rule, const std::set<size_t>& given, bool verbose) {
  Replay out;
  Simulator simulator(*Providers::built_in().find("anthropic"));
  const llm::PriceTable prices = llm::PriceTable::built_in();
  std::vector<uint64_t> generation(log.sessions.size());
  for (size_t i = 0; i < log.requests.size(); ++i) {
    const LoggedRequest& logged = log.requests[i];
    const Ttl ttl = logged.usage.write_long > 0 ? Ttl::kLong : Ttl::kShort;
    const std::vector<SimBlock> blocks = prompt_of(log, heads, logged, ttl);
    if (logged.first && heads.warm[logged.session] > 0) warm_up(simulator, logged, blocks);
    if ((client_rule && logged.notified) || given.contains(i)) ++generation[logged.session];
    SimRequest request;
    request.at_ms = logged.at_ms;
    request.readable_ms = request.done_ms = logged.readable_ms;
    request.model = logged.model;
    request.account = "account";
    request.blocks = blocks;
    request.invalidates_messages.low = generation[logged.session];
    request.output_tokens = logged.usage.output;
    const auto billed = simulator.run(request);
    if (!billed) std::abort();
    const auto sum = [](llm::Usage& to, const llm::Usage& usage) {
      to.fresh += usage.fresh, to.read += usage.read, to.output += usage.output;
      to.write_short += usage.write_short, to.write_long += usage.write_long;
    };
    sum(out.simulated, billed->usage());
    sum(out.billed, logged.usage);
    out.simulated_usd += prices.cost_usd(logged.model, billed->usage(), logged.at_ms);
    out.billed_usd += prices.cost_usd(logged.model, logged.usage, logged.at_ms);
    const int64_t surplus = billed->read - logged.usage.read;
    out.exact += surplus == 0 ? 1 : 0;
    if (surplus >= kRebuildTokens) out.read_too_much.insert(i);
    if (verbose && surplus != 0)
      fmt::print("    {} request {}: read {} simulated, {} billed ({})\n", log.sessions[logged.session].name, i,
                 billed->read, logged.usage.read, miss_name(billed->miss));
  }
  return out;
}

void print(std::string_view name, const Replay& run, size_t requests) {
  const auto line = [](std::string_view what, int64_t simulated, int64_t billed) {
    const double off =
        billed == 0 ? 0 : 100.0 * static_cast<double>(simulated - billed) / static_cast<double>(billed);
    fmt::print("  {:12} {:>12} simulated {:>12} billed {:+8.2f} %\n", what, simulated, billed, off);
  };
  fmt::print("{}\n", name);
  line("read", run.simulated.read, run.billed.read);
  line("written 5m", run.simulated.write_short, run.billed.write_short);
  line("written 1h", run.simulated.write_long, run.billed.write_long);
  line("written", run.simulated.write_short + run.simulated.write_long,
       run.billed.write_short + run.billed.write_long);
  line("fresh", run.simulated.fresh, run.billed.fresh);
  fmt::print("  cost         {:>12.4f} simulated {:>12.4f} billed {:+8.2f} %\n", run.simulated_usd, run.billed_usd,
             100 * (run.simulated_usd - run.billed_usd) / run.billed_usd);
  fmt::print("  requests read to the token: {} of {}\n", run.exact, requests);
}

bool is_within(const Replay& run) {
  const auto near = [](int64_t simulated, int64_t billed) {
    return std::abs(static_cast<double>(simulated - billed)) <= kAllowedShare * static_cast<double>(billed);
  };
  return near(run.simulated.read, run.billed.read) &&
         near(run.simulated.write_short + run.simulated.write_long, run.billed.write_short + run.billed.write_long);
}

int main_of(const Options& options) {
  auto log = read_log(options.files);
  if (!log) {
    fmt::print(stderr, "prompt_cache_replay: {}\n", log.error().message);
    return 1;
  }
  if (log->requests.empty()) {
    fmt::print(stderr, "prompt_cache_replay: no requests in these files\n");
    return 1;
  }
  const Heads heads = heads_of(*log, options);
  assign_tokens(*log, heads.tokens);
  fmt::print("{} requests in {} files\nGiven, since a transcript does not hold it:", log->requests.size(),
             log->sessions.size());
  for (size_t i = 0; i < log->sessions.size(); ++i)
    if (heads.tokens[i] > 0)
      fmt::print(" [{}: head {} tokens, of which {} were cached before]", log->sessions[i].name, heads.tokens[i],
                 heads.warm[i]);
  fmt::print("\n");
  const size_t count = log->requests.size();
  const Replay visible = replay(*log, heads, false, {}, options.verbose);
  print("1. From the transcript alone (messages, models, compactions, times):", visible, count);
  print("2. With a rule found on such logs: a <task-notification> turn changes all after the head:",
        replay(*log, heads, true, {}, options.verbose), count);
  const Replay given = replay(*log, heads, false, visible.read_too_much, options.verbose);
  print(fmt::format("3. With the {} requests given at which something changed that a transcript does not show:",
                    visible.read_too_much.size()),
        given, count);
  fmt::print("within 2 %: {}\n", is_within(given) ? "yes" : "no");
  return is_within(given) ? 0 : 2;
}

}  // namespace
}  // namespace payonce::prompt_cache

int main(int argc, char** argv) {
  payonce::prompt_cache::Options options;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--cold") == 0) {
      options.cold = true;
    } else if (std::strcmp(argv[i], "--verbose") == 0) {
      options.verbose = true;
    } else if (std::strcmp(argv[i], "--head-tokens") == 0 && i + 1 < argc) {
      options.head_tokens = std::atoll(argv[++i]);
    } else {
      options.files.emplace_back(argv[i]);
    }
  }
  return payonce::prompt_cache::main_of(options);
}
