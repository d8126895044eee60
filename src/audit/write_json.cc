#include <fmt/format.h>

#include <boost/json.hpp>

#include "audit/write.h"
#include "prefix/breakers/finding_json.h"

namespace payonce::audit {
namespace {

namespace json = boost::json;

constexpr double kMonth_ms = 30.4375 * 86'400'000;
constexpr size_t kSkippedShown = 100;
constexpr size_t kMigrationShown = 400;

json::object tokens(const llm::Usage& usage) {
  return {{"fresh", usage.fresh},
          {"read", usage.read},
          {"write_short", usage.write_short},
          {"write_long", usage.write_long},
          {"output", usage.output}};
}

// A prompt in three classes.
json::object prompt(const llm::Usage& usage) {
  return {{"fresh", usage.fresh}, {"read", usage.read}, {"written", usage.write_short + usage.write_long}};
}

json::object money(const Money& money) {
  return {{"uncached", money.uncached}, {"actual", money.actual}, {"with_payonce", money.with}};
}

double share(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

json::object latency_model(std::string_view name, const LatencyModel& model) {
  return {{"name", name},
          {"calls", model.calls},
          {"fixed_ms", model.fixed_ms},
          {"ms_per_computed_token", model.ms_per_computed_token},
          {"ms_per_read_token", model.ms_per_read_token},
          {"ms_per_output_token", model.ms_per_output_token},
          {"median_error", model.median_error},
          {"bias", model.bias}};
}

json::object latency(const Latency& latency) {
  json::array models;
  for (const auto& [name, model] : latency.models.by_model) models.push_back(latency_model(name, model));
  return {{"calls", latency.calls},
          {"actual_mean", latency.actual_mean_ms},
          {"with_payonce_mean", latency.with_mean_ms},
          {"actual_p50", latency.actual_p50_ms},
          {"with_payonce_p50", latency.with_p50_ms},
          {"actual_p95", latency.actual_p95_ms},
          {"with_payonce_p95", latency.with_p95_ms},
          {"median_error", latency.models.usable() ? json::value(latency.models.median_error()) : json::value()},
          {"models", std::move(models)}};
}

json::array layers(const Report& report) {
  json::array out;
  for (const Layer& layer : report.layers)
    out.push_back(json::object{{"name", layer.name},
                               {"hits", layer.hits},
                               {"requests", layer.requests},
                               {"input_tokens_saved", layer.input_tokens_saved},
                               {"cost_saved_usd", layer.cost_saved_usd},
                               {"input_cost_saved_usd", layer.input_cost_saved_usd},
                               {"latency_saved_ms", layer.latency_saved_ms},
                               {"confidence", layer.certain ? "certain" : "needs_validation"},
                               {"why", layer.why}});
  return out;
}

json::object acts(const Report& report) {
  json::object out;
  for (size_t act = 0; act < report.acts.size(); ++act)
    if (report.acts[act] > 0) out[prefix::act_name(static_cast<prefix::Act>(act))] = report.acts[act];
  return out;
}

json::array sessions(const Report& report) {
  json::array out;
  for (const SessionShare& session : report.sessions) {
    json::array steps;
    for (const Step& step : session.steps)
      steps.push_back(json::object{{"request", step.request},
                                   {"at_ms", step.at_ms},
                                   {"had", step.had},
                                   {"actual", prompt(step.usage)},
                                   {"with_payonce", prompt(step.with)},
                                   {"took", took_name(step.took)},
                                   {"rebuild", step.rebuild}});
    out.push_back(json::object{{"session", session.name},
                               {"requests", session.requests},
                               {"tokens", tokens(session.usage)},
                               {"hit_rate", share(session.usage.read, session.usage.input())},
                               {"cost_usd", money(session.cost)},
                               {"steps", std::move(steps)}});
  }
  return out;
}

json::array rebuilds_json(const Report& report, const history::Log& log) {
  json::array out;
  for (const history::Rebuild& rebuild : report.rebuilds) {
    json::array breakers;  // what broke it, where the bodies tell
    for (size_t i = 0; i < report.findings.size(); ++i)
      if (report.findings[i].finding.request == rebuild.call) breakers.push_back(i);
    out.push_back(json::object{{"request", rebuild.call},
                               {"session", log.calls[rebuild.call].session},
                               {"at_ms", log.calls[rebuild.call].at_ms},
                               {"cause", history::cause_name(rebuild.cause)},
                               {"gap_ms", rebuild.gap_ms},
                               {"had", rebuild.had},
                               {"read", rebuild.read},
                               {"wrote", rebuild.wrote},
                               {"tokens", rebuild.short_tokens},
                               {"bytes", log.calls[rebuild.call].request.size()},
                               {"cost_usd", rebuild.cost_usd},
                               {"findings", std::move(breakers)}});
  }
  return out;
}

json::array findings(const Report& report, const history::Log& log) {
  json::array out;
  for (const Told& told : report.findings) {
    json::object row = prefix::finding_json(told.finding, true);  // its texts are empty where none may be shown
    row["file"] = log.files[told.file].name;
    row["line"] = told.line;
    out.push_back(std::move(row));
  }
  return out;
}

json::object repeats(const Report& report) {
  json::array equal, alike;
  for (const Repeat& repeat : report.repeats)
    equal.push_back(json::object{{"requests", json::array(repeat.requests.begin(), repeat.requests.end())},
                                 {"cost_usd", repeat.cost_usd},
                                 {"example", repeat.example}});
  for (const Paraphrase& pair : report.paraphrases)
    alike.push_back(json::object{{"request", pair.request},
                                 {"source", pair.source},
                                 {"similarity", pair.similarity},
                                 {"same_answer", pair.same_answer},
                                 {"question", pair.question},
                                 {"matched", pair.matched}});
  return {{"equal", std::move(equal)}, {"paraphrases", std::move(alike)}};
}

json::object gaps(const Gaps& gaps) {
  json::array buckets, choices;
  for (const GapBucket& bucket : gaps.buckets)
    buckets.push_back(json::object{{"to_ms", bucket.to_ms}, {"count", bucket.count}});
  for (const TtlChoice& choice : gaps.choices)
    choices.push_back(json::object{{"name", choice.name}, {"input_cost_usd", choice.cost_usd}});
  return {{"buckets", std::move(buckets)}, {"choices", std::move(choices)}};
}

json::array fixes(const Report& report) {
  json::array out;
  for (const Fix& fix : report.fixes)
    out.push_back(json::object{{"name", fix.name},
                               {"alone_usd", fix.alone_usd},
                               {"in_order_usd", fix.in_order_usd},
                               {"confidence", fix.certain ? "certain" : "needs_validation"}});
  return out;
}

json::array trials(const Report& report) {
  json::array out;
  for (const Trial& trial : report.trials)
    out.push_back(json::object{{"setting", trial.setting},
                               {"value", trial.value},
                               {"chosen", trial.chosen},
                               {"cost_usd", trial.cost_usd},
                               {"latency_mean_ms", trial.latency_mean_ms},
                               {"hits", trial.hits}});
  return out;
}

json::array models(const Report& report) {
  json::array out;
  for (const ModelShare& model : report.models)
    out.push_back(json::object{{"model", model.model},
                               {"provider", model.provider},
                               {"requests", model.requests},
                               {"tokens", tokens(model.usage)},
                               {"hit_rate", share(model.usage.read, model.usage.input())},
                               {"cost_usd", money(model.cost)},
                               {"priced", model.priced}});
  return out;
}

json::array migration(const Report& report) {
  json::array out;
  for (const Move& move : report.migration)
    if (out.size() < kMigrationShown)
      out.push_back(json::object{{"provider", move.provider},
                                 {"model", move.model},
                                 {"cost_usd", move.cost_usd},
                                 {"with_payonce_usd", move.with_payonce_usd}});
  return out;
}

json::object projection(const Report& report) {
  const auto span_ms = static_cast<double>(report.to_ms - report.from_ms);
  // Less than an hour says nothing of a month.
  if (span_ms < 3'600'000) return {{"days", span_ms / 86'400'000}, {"monthly_usd", nullptr}};
  const double factor = kMonth_ms / span_ms;
  return {{"days", span_ms / 86'400'000},
          {"monthly_usd", json::object{{"uncached", factor * report.cost.uncached},
                                       {"actual", factor * report.cost.actual},
                                       {"with_payonce", factor * report.cost.with}}}};
}

json::object sources(const history::Log& log) {
  json::array files, skipped;
  for (const history::File& file : log.files)
    files.push_back(json::object{{"name", file.name},
                                 {"format", history::format_name(file.format)},
                                 {"calls", file.calls},
                                 {"bytes", file.bytes}});
  for (const history::Skipped& line : log.skipped)
    if (skipped.size() < kSkippedShown)
      skipped.push_back(json::object{{"file", log.files[line.file].name}, {"line", line.line}, {"why", line.why}});
  return {{"files", std::move(files)}, {"skipped", std::move(skipped)}};
}

std::string_view prefix_mode_name(const Options& options) {
  if (options.prefix == route::PrefixMode::kSafe && !options.move.empty()) return "safe, with moves";
  for (const auto& [name, mode] : route::kPrefixModes)
    if (mode == options.prefix) return name;
  return "";
}

json::object settings(const Options& options) {
  return {{"exact", options.exact},
          {"semantic", options.semantic},
          {"prefix", prefix_mode_name(options)},
          {"error_bound", options.error_bound},
          {"ttl_s", options.ttl_s},
          {"memory_bytes", options.memory_bytes},
          {"provider", options.provider}};
}

json::object tools(const ToolRepeats& tools) {
  json::array by_tool;
  for (const auto& [name, count] : tools.by_tool)
    by_tool.push_back(json::object{{"tool", name}, {"repeated", count}});
  return {{"calls", tools.calls}, {"repeated", tools.repeated}, {"by_tool", std::move(by_tool)}};
}

}  // namespace

json::object as_json(const Report& report, const history::Log& log, const Options& options) {
  const Simulated& sim = report.simulated;
  return {{"requests", report.requests},
          {"skipped", report.skipped},
          {"duplicates", report.duplicates},
          {"without_body", report.without_body},
          {"without_answer", report.without_answer},
          {"from_ms", report.from_ms},
          {"to_ms", report.to_ms},
          {"tokens", tokens(report.actual)},
          {"tokens_with_payonce", tokens(report.with)},
          {"output_is_floor", report.output_is_floor},
          {"cost_usd", money(report.cost)},
          {"billed_usd", report.billed_usd < 0 ? json::value() : json::value(report.billed_usd)},
          {"input_cost_usd", money(report.input_cost)},
          {"latency_ms", latency(report.latency)},
          {"layers", layers(report)},
          {"acts", acts(report)},
          {"projection", projection(report)},
          {"models", models(report)},
          {"sessions", sessions(report)},
          {"sessions_in_all", report.sessions_in_all},
          {"rebuilds", rebuilds_json(report, log)},
          {"findings", findings(report, log)},
          {"repeats", repeats(report)},
          {"gaps", gaps(report.gaps)},
          {"migration", migration(report)},
          {"fixes", fixes(report)},
          {"sensitivity", trials(report)},
          {"tools", tools(report.tools)},
          {"simulator", json::object{{"calls", sim.calls},
                                     {"read", sim.read},
                                     {"billed_read", sim.billed_read},
                                     {"written", sim.written},
                                     {"billed_written", sim.billed_written}}},
          {"sources", sources(log)},
          {"settings", settings(options)},
          {"notes", json::array(report.notes.begin(), report.notes.end())}};
}

}  // namespace payonce::audit
