#include "audit/audit.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <utility>

#include "audit/replay.h"
#include "audit/stack.h"
#include "audit/summarise.h"
#include "llm/json_tape.h"
#include "prefix/breakers/detector.h"

namespace payonce::audit {
namespace {

constexpr size_t kMostRebuilds = 10'000;
constexpr size_t kTrialCalls = 20'000;  // a longer log is tried under other settings with its last calls alone

class Audit {
 public:
  Audit(const history::Log& log, const Options& options, embed::Embedder* embedder, const Wanted& wanted,
        const std::function<void(Stage)>& progress)
      : log_(log), options_(options), wanted_(wanted), progress_(progress) {
    if (embedder != nullptr) embedder_.emplace(*embedder);
  }

  Report run() {
    report_.skipped = log_.skipped_count();
    report_.duplicates = log_.duplicates.total();
    const std::vector<Replayed> replayed = play("replay", options_);
    const ReplayedLog replay{calls_, replayed, options_};
    add_totals(replay, report_);
    report_.rebuilds = history::rebuilds(log_, options_.prices);
    if (report_.rebuilds.size() > kMostRebuilds) report_.rebuilds.resize(kMostRebuilds);
    add_sessions(replay, wanted_.sessions, report_);
    add_repeats(replay, log_, wanted_.show_text, report_);
    add_gaps(replay, report_);
    add_migration(replay, report_);
    if (wanted_.findings) add_findings();
    if (wanted_.sensitivity && report_.without_body < report_.requests) {
      choose_trial_calls();
      add_fixes();
      add_trials();
    }
    return std::move(report_);
  }

 private:
  void tell(std::string_view stage, size_t done, size_t all) const {
    if (progress_) progress_({stage, done, all});
  }

  std::vector<Replayed> play(std::string_view stage, const Options& options) {
    return replay(calls_, options, embedder_ ? &*embedder_ : nullptr,
                  [&](Progress progress) { tell(stage, progress.done, progress.all); });
  }
  Sum sum(std::string_view stage, const Options& options) {
    const std::vector<Replayed> replayed = play(stage, options);
    return sum_of({calls_, replayed, options}, report_.latency.models);
  }
  void choose_trial_calls() {
    if (calls_.size() <= kTrialCalls) return;
    calls_ = calls_.last(kTrialCalls);
    report_.notes.push_back(fmt::format("steps and other settings are of the last {} requests", kTrialCalls));
  }

  void add_findings() {
    prefix::Detector detector(options_.prices, {}, [&](const llm::Request& request, const prefix::CallMeta& meta) {
      const std::string id =
          !options_.provider.empty() ? options_.provider : provider_id(meta.provider, request.model);
      const auto* given = prompt_cache::Providers::built_in().find(id);
      return given == nullptr ? prefix::default_facts(request.dialect, request.model)
                              : prefix::facts_of(prompt_cache::rule_for(*given, request.model));
    });
    std::vector<size_t> observed;
    for (size_t i = 0; i < log_.calls.size(); ++i) {
      const history::Call& call = log_.calls[i];
      if (call.request.empty()) continue;
      auto request = llm::parse_request(call.dialect, base::Bytes::unowned(call.request));
      if (!request) continue;
      prefix::CallMeta meta{.unix_ms = call.at_ms, .latency_ms = call.latency_ms, .first_byte_ms = call.first_ms};
      meta.session = call.session;
      meta.provider = call.provider;
      meta.usage = call.usage;
      if (call.response.starts_with('{')) meta.answer = call.response;
      observed.push_back(i);
      detector.observe(*std::move(request), meta);
      if (i % 256 == 0) tell("breakers", i, log_.calls.size());
    }
    for (prefix::Finding& finding : detector.findings()) {
      finding.request = observed[finding.request];
      const history::Call& call = log_.calls[finding.request];
      if (!wanted_.show_text) finding.before = finding.after = "";
      report_.findings.push_back({std::move(finding), call.file, call.line});
    }
    std::ranges::stable_sort(report_.findings,
                             [](const Told& a, const Told& b) { return a.finding.cost_usd > b.finding.cost_usd; });
  }

  // Each layer alone, and all of them one after another.
  void add_fixes() {
    Options none = options_;
    none.exact = none.semantic = false;
    none.prefix = route::PrefixMode::kOff;
    none.move.clear();
    const auto with = [&](bool exact, bool semantic, route::PrefixMode prefix, bool moves) {
      Options out = none;
      out.exact = exact || semantic;
      out.semantic = semantic;
      out.prefix = prefix;
      if (moves) out.move = {"*"};
      return out;
    };
    using enum route::PrefixMode;
    struct Row {
      std::string_view name;
      Options alone, so_far;
      bool certain;
    };
    std::vector<Row> rows;
    rows.push_back({"exact cache", with(true, false, kOff, false), with(true, false, kOff, false), true});
    if (embedder_)
      rows.push_back({"semantic cache, with the exact one", with(true, true, kOff, false),
                      with(true, true, kOff, false), false});
    const bool semantic = embedder_.has_value();
    rows.push_back({"stable prefixes and breakpoints (safe)", with(false, false, kSafe, false),
                    with(true, semantic, kSafe, false), true});
    rows.push_back({"volatile text moved behind the last breakpoint", with(false, false, kSafe, true),
                    with(true, semantic, kSafe, true), false});
    double before = sum("fixes", none).cost.with;
    const double nothing = before;
    for (const Row& row : rows) {
      const double alone = sum("fixes", row.alone).cost.with;
      const double so_far = sum("fixes", row.so_far).cost.with;
      report_.fixes.push_back({.name = std::string(row.name),
                               .alone_usd = nothing - alone,
                               .in_order_usd = before - so_far,
                               .certain = row.certain});
      before = so_far;
    }
  }

  void trial(std::string_view setting, std::string value, const Options& options) {
    const Sum sums = sum("sensitivity", options);
    report_.trials.push_back({.setting = std::string(setting),
                              .value = std::move(value),
                              .cost_usd = sums.cost.with,
                              .latency_mean_ms = sums.latency_mean_ms,
                              .hits = sums.hits});
  }
  void chosen(std::string_view setting, std::string value, const Sum& sums) {
    report_.trials.push_back({.setting = std::string(setting),
                              .value = std::move(value),
                              .chosen = true,
                              .cost_usd = sums.cost.with,
                              .latency_mean_ms = sums.latency_mean_ms,
                              .hits = sums.hits});
  }

  // As if another provider's cache had served all of it: its rules and factors, on each model's own input price.
  void provider_trial(std::string_view id) {
    Options other = options_;
    other.provider = id;
    const auto& provider = *prompt_cache::Providers::built_in().find(id);
    const std::vector<Replayed> replayed = play("sensitivity", other);
    Trial trial{.setting = "cache rules of", .value = provider.name};
    for (size_t i = 0; i < replayed.size(); ++i) {
      const history::Call& call = calls_[i];
      const llm::PriceRow* row = price_row(call, options_.prices);
      if (!replayed[i].simulated || replayed[i].took != Took::kUpstream || row == nullptr) continue;
      const llm::Price price = row->at(replayed[i].actual.input(), {.batch = call.batch});
      const prompt_cache::Rule rule = prompt_cache::rule_for(provider, call.model);
      trial.cost_usd += prompt_cache::cost(replayed[i].sent, rule) * price.input / 1e6 +
                        static_cast<double>(replayed[i].actual.output) * price.output / 1e6;
      trial.hits += replayed[i].sent.read > 0 ? 1U : 0U;
    }
    trial.latency_mean_ms = sum_of({calls_, replayed, other}, report_.latency.models).latency_mean_ms;
    report_.trials.push_back(std::move(trial));
  }

  void add_trials() {
    const Sum now = sum("sensitivity", options_);
    struct Ttl {
      int64_t seconds;
      std::string_view name;
    };
    chosen("TTL of answers", fmt::format("{} s", options_.ttl_s), now);
    for (const Ttl& ttl :
         {Ttl{300, "5 minutes"}, Ttl{3600, "1 hour"}, Ttl{86'400, "1 day"}, Ttl{604'800, "1 week"}}) {
      if (ttl.seconds == options_.ttl_s) continue;
      Options other = options_;
      other.ttl_s = ttl.seconds;
      trial("TTL of answers", std::string(ttl.name), other);
    }
    chosen("memory for answers", fmt::format("{} MiB", options_.memory_bytes >> 20U), now);
    for (const uint64_t mib : {1U, 16U}) {
      Options other = options_;
      other.memory_bytes = mib << 20U;
      trial("memory for answers", fmt::format("{} MiB", mib), other);
    }
    for (const std::string_view id : {"anthropic", "openai_gpt56plus", "openai_older", "gemini", "deepseek", "vllm"})
      provider_trial(id);
    if (!embedder_ || !options_.semantic) return;
    chosen("error bound", fmt::format("{:g} %", 100 * options_.error_bound), now);
    for (const double bound : {0.002, 0.01, 0.02, 0.05}) {
      if (bound == options_.error_bound) continue;
      Options other = options_;
      other.error_bound = bound;
      trial("error bound", fmt::format("{:g} %", 100 * bound), other);
    }
  }

  const history::Log& log_;
  std::span<const history::Call> calls_ = log_.calls;  // that are replayed now
  const Options& options_;
  const Wanted& wanted_;
  const std::function<void(Stage)>& progress_;
  std::optional<InlineEmbedder> embedder_;
  Report report_;
};

}  // namespace

Report audit(const history::Log& log, const Options& options, embed::Embedder* embedder, const Wanted& wanted,
             const std::function<void(Stage)>& progress) {
  return Audit(log, options, embedder, wanted, progress).run();
}

}  // namespace payonce::audit
