#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <string>

#include "base/log.h"
#include "payonce/audit_run.h"
#include "payonce/commands.h"
#include "payonce/gate_command.h"
#include "payonce/run.h"

namespace payonce {
namespace {

struct AuditCommandOptions {
  config::Flags flags;
  AuditOptions audit;
  GateOptions gate;
  std::string format;
  std::vector<std::string> prices;
  bool quick = false;
};

int usage(const std::string& what) { return complain(what, kUsage); }

int simulate(AuditCommandOptions& options) {
  if (!options.audit.logs.empty()) return usage("--simulate takes one trace; give no further files");
  if (const auto ttl = options.flags.values.find("policy.ttl"); ttl != options.flags.values.end()) {
    const auto seconds = config::parse_duration_s(ttl->second);
    if (!seconds || *seconds < 1)
      return usage(fmt::format("--ttl: expected seconds, or 5m, found '{}'", ttl->second));
    options.gate.ttl_s = static_cast<double>(*seconds);
  }
  options.gate.json_file = options.audit.json_file;
  return run_gate(options.gate);
}

int audit_logs(AuditCommandOptions& options) {
  if (!options.gate.trace.empty()) return simulate(options);
  if (options.audit.logs.empty())
    return usage("no log; name files, folders or globs, such as ~/.claude/projects, or - for the standard input");
  if (!options.format.empty()) options.audit.format = history::format_named(options.format);
  for (const std::string& text : options.prices) {
    auto price = parse_price(text);
    if (!price) return usage("--price: " + price.error().message);
    options.audit.prices.push_back(*std::move(price));
  }
  options.audit.wanted.sensitivity = !options.quick;
  const auto settings = load_settings(options.flags);
  if (!settings) return complain(settings.error(), options.flags.config_file.empty() ? kUsage : kFailed);
  base::configure_log(base::LogLevel::kWarn, settings->log_format);
  return run_audit(options.audit, *settings);
}

std::string check_format(const std::string& name) {
  if (history::format_named(name)) return {};
  std::string known;
  for (int i = 0; i <= static_cast<int>(history::Format::kOtel); ++i)
    known += (i == 0 ? "" : ", ") + std::string(history::format_name(static_cast<history::Format>(i)));
  return fmt::format("'{}' is no format; there are: {}", name, known);
}

void add_log_options(CLI::App& command, AuditCommandOptions& options) {
  command.add_option("log", options.audit.logs, "Logs to replay: files (also .gz, .zst), folders, globs, or -")
      ->type_name("LOG");
  command.add_option("--out", options.audit.html_file, "Write the report as one self-contained page")
      ->type_name("FILE.html");
  command.add_option("--json", options.audit.json_file, "Write the figures as JSON (-: print them)")
      ->type_name("FILE");
  command.add_option("--format", options.format, "How all files are written, instead of looking at each")
      ->check(check_format);
  command
      .add_option("--provider", options.audit.provider,
                  "Whose prompt cache served the log, as docs/providers.md names it; default: as the log says")
      ->type_name("ID");
  const std::map<std::string, audit::Sharing> kinds = {
      {"user", audit::Sharing::kUser}, {"session", audit::Sharing::kSession}, {"all", audit::Sharing::kAll}};
  command.add_option("--share", options.audit.sharing, "Whose answers may be given to whom: user, session or all")
      ->transform(CLI::CheckedTransformer(kinds).description(""))
      ->type_name("user|session|all")
      ->default_str("user");
  command.add_option("--price", options.prices, "MODEL=IN,OUT[,READ[,WRITE[,WRITE1H]]] in USD per million tokens")
      ->type_name("PRICE")
      ->allow_extra_args(false);
  command.add_flag("--show-text", options.audit.wanted.show_text,
                   "Excerpts of prompts and questions in the report; without it none are written");
  command.add_flag("--quick", options.quick, "Without the same log under other settings, and each fix alone");
}

void add_gate_options(CLI::App& command, GateOptions& options) {
  command
      .add_option("--simulate", options.trace, "Run the write gate over this block trace instead; --ttl is its TTL")
      ->type_name("TRACE")
      ->group("Write gate");
  command.add_option("--write-factor", options.prices.write, "Price of a written token, relative to input (1.25)")
      ->check(CLI::Range(1.0, 100.0))
      ->group("Write gate");
  command.add_option("--read-factor", options.prices.read, "Price of a read token, relative to input (0.1)")
      ->check(CLI::Range(0.0, 1.0))
      ->group("Write gate");
  command.add_option("--decisions", options.decisions, "Write the marks of each request to this file")
      ->type_name("FILE")
      ->group("Write gate");
}

}  // namespace

void add_audit(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand(
      "audit", "What was paid for twice: replays recorded requests through the layers that would have served them");
  command->footer(
      "Formats: rows {timestamp, latency_ms, path, session, request, response}, LiteLLM, Helicone, Langfuse, batch "
      "files,\n"
      "Claude Code, Codex, Gemini CLI, OpenCode, OpenTelemetry; docs/logs.md says how to export each.\n"
      "The settings are those of `payonce serve`; the prefix layer is safe unless told otherwise. Nothing leaves "
      "this "
      "machine.\n\n"
      "Examples:\n"
      "  payonce audit ~/.claude/projects --out report.html\n"
      "  payonce audit spendlogs.csv.gz --json - | jq .cost_usd\n"
      "  payonce audit 'logs/2026-11-*.jsonl' --out report.html --prefix-move '*' --show-text\n"
      "  payonce audit vllm.jsonl --provider vllm --price my-model=0.4,1.2\n\n"
      "The write gate alone, over a trace with a line a request, {\"timestamp\":ms,\"input_length\":tokens,\n"
      "\"output_length\":tokens,\"hash_ids\":[…]}, an id for each 512 tokens; decisions have a line a request,\n"
      "{\"marks\":[…]}, each after so many whole blocks:\n"
      "  payonce audit --simulate trace.jsonl --ttl 300 --write-factor 1.25 --read-factor 0.1 \\\n"
      "      --decisions marks.jsonl --json cost.json");
  const auto options = std::make_shared<AuditCommandOptions>();
  add_log_options(*command, *options);
  config::add_flags(*command, config::Command::kAudit, options->flags);
  add_gate_options(*command, options->gate);
  command->callback([options, &status] { status = audit_logs(*options); });
}

}  // namespace payonce
