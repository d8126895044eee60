#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "audit/write.h"

namespace payonce::audit {
namespace {

constexpr size_t kFindingsShown = 5;

std::string change(double before, double after) {
  if (before <= 0) return "";
  const double percent = 100 * (after - before) / before;
  return fmt::format("{:+.1f} %", std::abs(percent) < 0.05 ? 0.0 : percent);
}

std::string usd(double value) { return fmt::format("${:.{}f}", value, value != 0 && value < 1 ? 4 : 2); }

std::string time(double ms) { return ms < 1000 ? fmt::format("{:.1f} ms", ms) : fmt::format("{:.2f} s", ms / 1000); }

std::string headline(std::string_view name, const std::string& before, const std::string& after,
                     const std::string& change) {
  return fmt::format("  {:<20} {:>12}  →  {:>12}   {:>9}\n", name, before, after, change);
}

std::string headlines(const Report& report) {
  const Money& cost = report.cost;
  if (report.layers.empty())  // nothing could be replayed
    return fmt::format("  {:<20} {:>12}\n  {:<20} {:>12}   {:>9}\n", "without any cache", usd(cost.uncached), "paid",
                       usd(cost.actual), change(cost.uncached, cost.actual));
  std::string out = fmt::format("  {:<20} {:>12}     {:>12}\n", "", "ACTUAL", "WITH PAYONCE");
  const Latency& latency = report.latency;
  if (latency.calls > 0)
    out += headline("average latency", time(latency.actual_mean_ms), time(latency.with_mean_ms),
                    change(latency.actual_mean_ms, latency.with_mean_ms));
  out += headline("input-token cost", usd(report.input_cost.actual), usd(report.input_cost.with),
                  change(report.input_cost.actual, report.input_cost.with));
  out += headline("total cost", usd(cost.actual), usd(cost.with), change(cost.actual, cost.with));
  return out + fmt::format("  {:<20} {:>12}\n\n", "without any cache", usd(cost.uncached));
}

std::string rebuilds_text(const Report& report) {
  if (report.rebuilds.empty()) return "";
  std::map<std::string_view, size_t> causes;
  double cost = 0;
  for (const history::Rebuild& rebuild : report.rebuilds) {
    ++causes[history::cause_name(rebuild.cause)];
    cost += rebuild.cost_usd;
  }
  std::string list;
  for (const auto& [cause, count] : causes) list += fmt::format("{}{} {}", list.empty() ? "" : ", ", count, cause);
  return fmt::format("Prefixes rebuilt: {} ({}), {}\n", report.rebuilds.size(), list, usd(cost));
}

std::string breakers(const Report& report) {
  if (report.findings.empty()) return "";
  std::string out = "\nWhat broke prefixes:\n";
  for (size_t i = 0; i < std::min(report.findings.size(), kFindingsShown); ++i) {
    const prefix::Finding& finding = report.findings[i].finding;
    out += fmt::format("  {:<22} {:<26} {:>6} ×  {:>10}\n", finding.about().name,
                       finding.path.empty() ? "body" : finding.path.substr(0, 26), finding.occurrences,
                       usd(finding.cost_usd));
  }
  if (report.findings.size() > kFindingsShown)
    out += fmt::format("  … and {} more\n", report.findings.size() - kFindingsShown);
  return out;
}

}  // namespace

std::string as_text(const Report& report) {
  std::string out = fmt::format("{} requests, {} repeated records left out, {} lines skipped", report.requests,
                                report.duplicates, report.skipped);
  if (report.to_ms > report.from_ms)
    out += fmt::format(", {:.1f} days", static_cast<double>(report.to_ms - report.from_ms) / 86'400'000);
  out += "\n\n" + headlines(report);
  if (!report.layers.empty())
    out += fmt::format("  {:<10} {:>8} {:>9} {:>14} {:>11} {:>11}  {}\n", "LAYER", "HITS", "OF", "INPUT TOKENS",
                       "COST", "TIME", "");
  for (const Layer& layer : report.layers)
    out += fmt::format("  {:<10} {:>8} {:>9} {:>14} {:>11} {:>11}  {}\n", layer.name, layer.hits, layer.requests,
                       layer.input_tokens_saved, usd(layer.cost_saved_usd), time(layer.latency_saved_ms),
                       layer.certain ? "certain" : "needs validation");
  const llm::Usage& tokens = report.actual;
  out += fmt::format("\nInput tokens: {} fresh, {} read, {} written (short), {} written (long); output {}{}\n",
                     tokens.fresh, tokens.read, tokens.write_short, tokens.write_long,
                     report.output_is_floor ? "≥ " : "", tokens.output);
  if (report.latency.models.usable())
    out += fmt::format("Latency model: median error {:.0f} % a call\n", 100 * report.latency.models.median_error());
  out += rebuilds_text(report);
  out += breakers(report);
  for (const std::string& note : report.notes) out += fmt::format("note: {}\n", note);
  return out;
}

}  // namespace payonce::audit
