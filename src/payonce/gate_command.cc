#include "payonce/gate_command.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <fstream>
#include <string>
#include <vector>

#include "payonce/gate_simulation.h"
#include "payonce/run.h"

namespace payonce {
namespace {

namespace json = boost::json;

std::string decision_line(std::span<const uint32_t> marks) {
  std::string line = R"({"marks":[)";
  for (size_t i = 0; i < marks.size(); ++i) line += fmt::format("{}{}", i == 0 ? "" : ",", marks[i] + 1);
  return line + "]}\n";
}

json::object as_json(const GateSimulation& result, const GateOptions& options) {
  json::array policies;
  for (const PolicyCost& policy : result.policies)
    policies.push_back(json::object{{"name", policy.name},
                                    {"relative_input_cost", policy.relative_cost},
                                    {"relative_input_cost_marked_only", policy.relative_cost_marked},
                                    {"read_tokens", policy.billed.read},
                                    {"written_tokens", policy.billed.written},
                                    {"fresh_tokens", policy.billed.fresh}});
  const PolicyCost& gate = result.policies.front();
  return {{"requests", result.requests},
          {"relative_input_cost", gate.relative_cost},
          {"relative_input_cost_marked_only", gate.relative_cost_marked},
          {"ttl_s", options.ttl_s},
          {"write_factor", options.prices.write},
          {"read_factor", options.prices.read},
          {"marks", result.marks},
          {"read_tokens", gate.billed.read},
          {"written_tokens", gate.billed.written},
          {"fresh_tokens", gate.billed.fresh},
          {"decide_us_mean", result.decide_us_mean},
          {"policies", std::move(policies)}};
}

void print(const GateSimulation& result, const GateOptions& options) {
  std::string text = fmt::format(
      "{} requests, {} input tokens; TTL {} s, write {}x, read {}x\n"
      "Input cost relative to no cache, when any written prefix is read, and when marked positions alone are:\n\n"
      "{:<10}  {:>7}  {:>11}  {:>14}  {:>14}  {:>14}\n",
      result.requests, result.policies.front().billed.tokens(), options.ttl_s, options.prices.write,
      options.prices.read, "POLICY", "COST", "MARKED ONLY", "READ", "WRITTEN", "FRESH");
  for (const PolicyCost& policy : result.policies)
    text += fmt::format("{:<10}  {:>7.4f}  {:>11.4f}  {:>14}  {:>14}  {:>14}\n", policy.name, policy.relative_cost,
                        policy.relative_cost_marked, policy.billed.read, policy.billed.written, policy.billed.fresh);
  (void)std::fputs(text.c_str(), stdout);
}

}  // namespace

int run_gate(const GateOptions& options) {
  std::ofstream decisions;
  if (!options.decisions.empty()) {
    decisions.open(options.decisions, std::ios::binary | std::ios::trunc);
    if (!decisions) return complain(fmt::format("cannot write '{}'", options.decisions), kFailed);
  }
  const prefix::Terms terms{.prices = options.prices, .ttl_ms = static_cast<int64_t>(options.ttl_s * 1000)};
  const GateObserver observer{
      .decided =
          [&](std::span<const uint32_t> marks) {
            return options.decisions.empty() || static_cast<bool>(decisions << decision_line(marks));
          },
      .progress =
          [](uint64_t requests) {
            (void)std::fprintf(stderr, "payonce: %llu requests\n", static_cast<unsigned long long>(requests));
          }};
  const auto result = simulate_gate(options.trace, terms, observer);
  if (!result) {
    if (result.error().code == base::Code::kCancelled)
      return complain(fmt::format("writing '{}' failed", options.decisions), kFailed);
    return complain(result.error().message, kFailed);
  }
  if (!options.decisions.empty() && !decisions.flush())
    return complain(fmt::format("writing '{}' failed", options.decisions), kFailed);
  if (!options.json_file.empty()) {
    std::ofstream out(options.json_file, std::ios::binary | std::ios::trunc);
    if (!(out << json::serialize(as_json(*result, options)) << '\n') || !out.flush())
      return complain(fmt::format("cannot write '{}'", options.json_file), kFailed);
  }
  print(*result, options);
  return 0;
}

}  // namespace payonce
