#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "payonce/commands.h"
#include "payonce/gate_simulation.h"

namespace payonce {
namespace {

namespace json = boost::json;

struct Options {
  std::vector<std::string> logs;
  std::string trace, decisions, json_file;
  double ttl_s = 300;
  prefix::Prices prices;
};

int complain(const std::string& what, int status) {
  (void)std::fprintf(stderr, "payonce: %s\n", what.c_str());
  return status;
}

std::string decision_line(std::span<const uint32_t> marks) {
  std::string line = R"({"marks":[)";
  for (size_t i = 0; i < marks.size(); ++i) line += fmt::format("{}{}", i == 0 ? "" : ",", marks[i] + 1);
  return line + "]}\n";
}

json::object as_json(const GateSimulation& result, const Options& options) {
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

void print(const GateSimulation& result, const Options& options) {
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

int simulate(const Options& options) {
  std::ofstream decisions;
  if (!options.decisions.empty()) {
    decisions.open(options.decisions, std::ios::binary | std::ios::trunc);
    if (!decisions) return complain(fmt::format("cannot write '{}'", options.decisions), 1);
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
      return complain(fmt::format("writing '{}' failed", options.decisions), 1);
    return complain(result.error().message, 1);
  }
  if (!options.decisions.empty() && !decisions.flush())
    return complain(fmt::format("writing '{}' failed", options.decisions), 1);
  if (!options.json_file.empty()) {
    std::ofstream out(options.json_file, std::ios::binary | std::ios::trunc);
    if (!(out << json::serialize(as_json(*result, options)) << '\n') || !out.flush())
      return complain(fmt::format("cannot write '{}'", options.json_file), 1);
  }
  print(*result, options);
  return 0;
}

int run(const Options& options) {
  if (!options.trace.empty() && !options.logs.empty())
    return complain("--simulate takes one trace; give no further files", 2);
  if (options.trace.empty())
    return complain("reading logs is not built yet; say --simulate TRACE to try the write gate on a block trace", 2);
  return simulate(options);
}

}  // namespace

void add_audit(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand("audit", "What would caching have cost? The write gate on a recorded trace");
  command->footer(
      "A trace has a line a request: {\"timestamp\":ms,\"input_length\":tokens,\"output_length\":tokens,\n"
      "\"hash_ids\":[…]}, an id for each 512 tokens, equal ids for equal content after an equal prefix.\n"
      "Decisions have a line a request: {\"marks\":[…]}, each after so many whole blocks.\n\n"
      "Example:\n"
      "  payonce audit --simulate trace.jsonl --ttl 300 --write-factor 1.25 --read-factor 0.1 \\\n"
      "      --decisions marks.jsonl --json cost.json");
  const auto options = std::make_shared<Options>();
  command->add_option("log", options->logs, "Logs to read (not built yet)");
  command->add_option("--simulate", options->trace, "Run the write gate over this block trace");
  command->add_option("--ttl", options->ttl_s, "Seconds that a written prefix lives (300)")
      ->check(CLI::Range(1.0, 604'800.0));
  command->add_option("--write-factor", options->prices.write, "Price of a written token, relative to input (1.25)")
      ->check(CLI::Range(1.0, 100.0));
  command->add_option("--read-factor", options->prices.read, "Price of a read token, relative to input (0.1)")
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("--decisions", options->decisions, "Write the marks of each request to this file");
  command->add_option("--json", options->json_file, "Write the costs to this file");
  command->callback([options, &status] { status = run(*options); });
}

}  // namespace payonce
