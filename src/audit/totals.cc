// Sums, layers, latency and models of a report.
#include <algorithm>
#include <map>
#include <tuple>

#include "audit/summarise.h"

namespace payonce::audit {
namespace {

// Between the client and us, there and back, for a hit: what the layers do is measured in the replay itself.
constexpr double kServing_ms = 0.3;

void add(llm::Usage& sum, const llm::Usage& usage) {
  sum.fresh += usage.fresh;
  sum.read += usage.read;
  sum.write_short += usage.write_short;
  sum.write_long += usage.write_long;
  sum.output += usage.output;
}

bool is_exact(Took took) { return took == Took::kExact || took == Took::kCollapsed; }

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const auto at = values.begin() + static_cast<ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

LatencyModels latency_models(const ReplayedLog& replay) {
  std::vector<TimedCall> timed;
  std::map<std::string, std::vector<TimedCall>, std::less<>> by_model;
  for (size_t i = 0; i < replay.calls.size(); ++i) {
    const history::Call& call = replay.calls[i];
    if (call.latency_ms <= 0 || !replay.replayed[i].actual.known || call.from_cache) continue;
    timed.push_back({replay.replayed[i].actual, static_cast<double>(call.latency_ms)});
    by_model[std::string(call.model)].push_back(timed.back());
  }
  LatencyModels out{.all = fit_latency(timed), .by_model = {}};
  for (const auto& [name, calls] : by_model)
    if (const LatencyModel model = fit_latency(calls); model.usable()) out.by_model[name] = model;
  return out;
}

void add_latency(const ReplayedLog& replay, Report& report) {
  Latency& out = report.latency;
  out.models = latency_models(replay);
  std::vector<double> actual, with;
  for (size_t i = 0; i < replay.calls.size(); ++i) {
    if (replay.calls[i].latency_ms < 0) continue;
    actual.push_back(static_cast<double>(replay.calls[i].latency_ms));
    with.push_back(with_latency_ms(replay.calls[i], replay.replayed[i], out.models));
  }
  out.calls = actual.size();
  out.actual_mean_ms = mean(actual);
  out.with_mean_ms = mean(with);
  out.actual_p50_ms = percentile(actual, 0.5);
  out.with_p50_ms = percentile(with, 0.5);
  out.actual_p95_ms = percentile(actual, 0.95);
  out.with_p95_ms = percentile(with, 0.95);
}

// Exact, then semantic, then prefix: each on what the one before left.
void add_layers(const ReplayedLog& replay, const std::vector<CallCost>& costs, Report& report) {
  Layer exact{.name = "exact", .why = "an equal request had this very answer"};
  Layer semantic{
      .name = "semantic", .certain = false, .why = "another wording had this answer: look at the examples"};
  const bool moves = !replay.options.move.empty() || replay.options.prefix == route::PrefixMode::kAggressive;
  Layer prefix{.name = "prefix", .certain = !moves};
  prefix.why = moves ? "text moves within the prompt: compare answers of your model before you switch it on"
                     : "the model reads the same; how much the provider reads again is simulated by its rules";
  for (size_t i = 0; i < replay.calls.size(); ++i) {
    const Replayed& call = replay.replayed[i];
    if (call.took == Took::kNoBody) continue;
    Layer& layer = is_exact(call.took) ? exact : call.took == Took::kSemantic ? semantic : prefix;
    ++exact.requests;
    if (!is_exact(call.took)) ++semantic.requests;
    if (&layer == &prefix) ++prefix.requests;
    const bool hit = &layer != &prefix || call.with.read > call.actual.read;
    if (hit) ++layer.hits;
    if (hit && &layer == &exact && replay.calls[i].request_is_partial) {
      exact.certain = false;
      exact.why = "the log holds messages alone: tools and parameters of these requests may differ";
    }
    if (!replay.calls[i].from_cache)  // else it was not bought either
      layer.input_tokens_saved +=
          &layer == &prefix ? call.with.read - call.actual.read : call.actual.input() - call.with.input();
    layer.cost_saved_usd += costs[i].all.actual - costs[i].all.with;
    layer.input_cost_saved_usd += costs[i].input.actual - costs[i].input.with;
    if (replay.calls[i].latency_ms >= 0)
      layer.latency_saved_ms += static_cast<double>(replay.calls[i].latency_ms) -
                                with_latency_ms(replay.calls[i], call, report.latency.models);
  }
  if (exact.requests == 0) return;  // nothing could be replayed
  if (replay.options.exact) report.layers.push_back(exact);
  if (replay.options.semantic) report.layers.push_back(semantic);
  if (replay.options.prefix != route::PrefixMode::kOff) report.layers.push_back(prefix);
}

void add_models(const ReplayedLog& replay, const std::vector<CallCost>& costs, Report& report) {
  std::map<std::pair<std::string, std::string>, ModelShare> by_model;
  for (size_t i = 0; i < replay.calls.size(); ++i) {
    const history::Call& call = replay.calls[i];
    ModelShare& share = by_model[{std::string(call.model), std::string(replay.replayed[i].provider)}];
    ++share.requests;
    if (!call.from_cache) add(share.usage, replay.replayed[i].actual);
    share.cost += costs[i].all;
    share.priced = share.priced && costs[i].priced;
  }
  for (auto& [name, share] : by_model) {
    std::tie(share.model, share.provider) = name;
    report.models.push_back(std::move(share));
  }
  std::ranges::sort(report.models,
                    [](const ModelShare& a, const ModelShare& b) { return a.cost.actual > b.cost.actual; });
}

void add_notes(const ReplayedLog& replay, Report& report) {
  const auto note = [&](size_t count, std::string_view what) {
    if (count > 0) report.notes.push_back(std::to_string(count) + std::string(what));
  };
  note(report.without_body,
       " requests have no body in the log: what they cost is counted, what a cache would have done with them is not "
       "known. `payonce serve --record` keeps bodies");
  note(report.without_answer, " requests have no answer in the log, so nothing could be stored for later ones");
  size_t unpriced = 0, guessed = 0, floor = 0, partial = 0, again = 0;
  for (size_t i = 0; i < replay.calls.size(); ++i) {
    unpriced += price_row(replay.calls[i], replay.options.prices) == nullptr ? 1U : 0U;
    guessed += replay.replayed[i].actual_is_simulated ? 1U : 0U;
    floor += replay.calls[i].output_is_floor ? 1U : 0U;
    partial += replay.calls[i].request_is_partial ? 1U : 0U;
    again += replay.replayed[i].asked_again ? 1U : 0U;
  }
  note(partial, " requests are known by their messages alone, without tools and parameters, which count as equal");
  note(again, " answers by meaning would have been asked for upstream as well, to learn from: counted as bought");
  note(unpriced, " requests are of models without a known price and count as free: give one with --price");
  note(guessed, " requests say nothing of what was billed: their tokens are estimated");
  note(floor, " requests have an output count that the log cut short: costs are at least so much");
  report.output_is_floor = floor > 0;
}

}  // namespace

double with_latency_ms(const history::Call& call, const Replayed& replayed, const LatencyModels& models) {
  const auto logged = static_cast<double>(call.latency_ms);
  switch (replayed.took) {
    case Took::kNoBody: return logged;
    case Took::kExact:
    case Took::kSemantic: return std::min(logged, replayed.layer_ms + kServing_ms);
    case Took::kCollapsed: return std::min(logged, static_cast<double>(replayed.wait_ms) + kServing_ms);
    case Took::kUpstream: break;
  }
  double out = logged + replayed.layer_ms + static_cast<double>(replayed.held_ms);
  const LatencyModel& model = models.of(call.model);
  if (model.usable()) out += model.predict_ms(replayed.with) - model.predict_ms(replayed.actual);
  return std::max(out, 0.0);
}

Sum sum_of(const ReplayedLog& replay, const LatencyModels& models) {
  Sum out;
  double ms = 0;
  size_t timed = 0;
  for (size_t i = 0; i < replay.calls.size(); ++i) {
    out.cost += cost_of(replay.calls[i], replay.replayed[i], replay.options.prices).all;
    out.hits += is_exact(replay.replayed[i].took) || replay.replayed[i].took == Took::kSemantic ? 1U : 0U;
    if (replay.calls[i].latency_ms < 0) continue;
    ms += with_latency_ms(replay.calls[i], replay.replayed[i], models);
    ++timed;
  }
  out.latency_mean_ms = timed > 0 ? ms / static_cast<double>(timed) : 0;
  return out;
}

void add_totals(const ReplayedLog& replay, Report& report) {
  std::vector<CallCost> costs;
  costs.reserve(replay.calls.size());
  report.requests = replay.calls.size();
  for (size_t i = 0; i < replay.calls.size(); ++i) {
    const history::Call& call = replay.calls[i];
    const Replayed& replayed = replay.replayed[i];
    costs.push_back(cost_of(call, replayed, replay.options.prices));
    report.cost += costs.back().all;
    report.input_cost += costs.back().input;
    if (!call.from_cache) {  // what a cache of the log's own answered was not bought
      add(report.actual, replayed.actual);
      add(report.with, replayed.with);
    }
    for (size_t act = 0; act < replayed.acts.size(); ++act) report.acts[act] += replayed.acts[act] > 0 ? 1U : 0U;
    report.without_body += replayed.took == Took::kNoBody ? 1U : 0U;
    report.without_answer += !call.request.empty() && call.response.empty() ? 1U : 0U;
    if (call.at_ms > 0) {
      report.from_ms = report.from_ms == 0 ? call.at_ms : std::min(report.from_ms, call.at_ms);
      report.to_ms = std::max(report.to_ms, call.at_ms);
    }
    if (call.billed_usd >= 0) report.billed_usd = std::max(report.billed_usd, 0.0) + call.billed_usd;
    if (!replayed.simulated || replayed.actual_is_simulated || !call.usage.read_known) continue;
    ++report.simulated.calls;
    report.simulated.read += replayed.base.read;
    report.simulated.billed_read += call.usage.read;
    report.simulated.written += replayed.base.write_short + replayed.base.write_long;
    report.simulated.billed_written += call.usage.write_short + call.usage.write_long;
  }
  add_latency(replay, report);
  add_layers(replay, costs, report);
  add_models(replay, costs, report);
  add_notes(replay, report);
}

}  // namespace payonce::audit
