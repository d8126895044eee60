#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/terminal.h"
#include "lint/live.h"
#include "lint/report.h"
#include "lint/run.h"
#include "payonce/commands.h"
#include "payonce/remote.h"

namespace payonce {
namespace {

struct LintCommandOptions {
  std::vector<std::string> paths, kinds, fail_on;
  std::string sarif;
  Remote instance;
  bool live = false, as_json = false, list_kinds = false;
  lint::Show show;
};

std::vector<prefix::Kind> kinds_of(const std::vector<std::string>& names) {
  std::vector<prefix::Kind> out;
  for (const std::string& name : names)
    if (const auto kind = prefix::find_kind(name)) out.push_back(*kind);
  return out;
}

std::string check_kind(const std::string& name) {
  if (prefix::find_kind(name)) return {};
  std::string known;
  for (const prefix::KindInfo& about : prefix::all_kinds())
    known += (known.empty() ? "" : ", ") + std::string(about.name);
  return fmt::format("'{}' is no kind; there are: {}", name, known);
}

bool write_sarif(const std::string& to, const std::string& text) {
  if (to == "-") return std::fputs((text + "\n").c_str(), stdout) >= 0;
  std::ofstream file(to, std::ios::binary);
  file << text << '\n';
  return file.good();
}

int tell(const LintCommandOptions& options, const lint::Input& input, const lint::Result& result) {
  if (!options.sarif.empty() && !write_sarif(options.sarif, lint::as_sarif(result))) {
    (void)std::fprintf(stderr, "payonce: cannot write '%s'\n", options.sarif.c_str());
    return 1;
  }
  const bool as_text = !options.as_json && options.sarif != "-";
  if (options.as_json)
    (void)std::fputs((lint::as_json(input, result, options.show) + "\n").c_str(), stdout);
  else if (as_text)
    (void)std::fputs(base::for_terminal(lint::as_text(input, result, options.show)).c_str(), stdout);
  for (const lint::Skipped& skipped : input.skipped)
    if (skipped.line == 0 && !as_text)  // the text says it itself
      (void)std::fprintf(stderr, "payonce: %s: %s\n", skipped.file.c_str(), base::for_terminal(skipped.why).c_str());
  const std::vector<prefix::Kind> fatal = kinds_of(options.fail_on);
  const bool failed = std::any_of(result.findings.begin(), result.findings.end(), [&](const lint::Told& told) {
    return fatal.empty() || std::find(fatal.begin(), fatal.end(), told.finding.kind) != fatal.end();
  });
  return failed || input.unreadable ? 1 : 0;
}

int lint_logs(const LintCommandOptions& options) {
  if (options.live) {
    auto answer = call(options.instance, "GET", "/payonce/v1/breakers");
    auto live = answer ? lint::read_live(*answer, address_of(options.instance), kinds_of(options.kinds))
                       : base::fail(std::move(answer.error()));
    if (live) return tell(options, live->input, live->result);
    (void)std::fprintf(stderr, "payonce: %s\n", live.error().message.c_str());
    return 1;
  }
  lint::Input input = lint::read_input(options.paths);
  const llm::PriceTable prices = llm::PriceTable::built_in();
  return tell(options, input, lint::run(input, prices, {.kinds = kinds_of(options.kinds)}));
}

}  // namespace

void add_lint(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand(
      "lint", "Finds what keeps requests from sharing a prefix: where, how often, what it costs, and the fix");
  command->footer(
      "LOG holds a recorded call a line: {timestamp, latency_ms, path, session, request, response}; only \"request\" "
      "is\n"
      "needed. Logs of LiteLLM, Helicone, Langfuse and batch APIs are read, too, plain or packed: docs/logs.md.\n"
      "REQUEST is one request body, or a prompt template. Folders and globs are searched; - is the standard input.\n"
      "Exit status: 0 no findings, 1 findings or unreadable input, 2 wrong usage. The kinds: docs/breakers.md.\n\n"
      "Examples:\n"
      "  payonce lint calls.jsonl\n"
      "  payonce lint logs/ --json | jq '.findings[] | {kind, path, cost_usd}'\n"
      "  payonce lint request.json prompts/system.j2\n"
      "  payonce lint logs/*.jsonl --fail-on clock,random_id --sarif lint.sarif\n"
      "  payonce lint calls.jsonl.zst           what payonce serve --record wrote\n"
      "  payonce lint --live                    a running instance's own findings\n"
      "  payonce lint day.jsonl.gz --redact");
  const auto options = std::make_shared<LintCommandOptions>();
  command->add_option("paths", options->paths, "Logs, requests, templates, folders, globs, or -");
  CLI::Option* live =
      command->add_option("--live", options->instance.url,
                          "The findings of a running instance, instead of files; default $PAYONCE_URL, "
                          "else http://127.0.0.1:4141");
  live->expected(0, 1);
  command->add_option("--token", options->instance.token,
                      "Of --live: its admin token; default $PAYONCE_ADMIN_TOKEN, else this user's");
  command->add_flag("--json", options->as_json, "Print JSON");
  command->add_option("--sarif", options->sarif, "Write SARIF 2.1.0 to this file (-: print it)");
  command->add_option("--kind", options->kinds, "Only these kinds")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(check_kind);
  command->add_option("--fail-on", options->fail_on, "Status 1 for these kinds alone")
      ->delimiter(',')
      ->check(check_kind);
  command->add_flag("--show-text", options->show.text, "Longer excerpts of the prompts");
  command->add_flag("--redact", options->show.redact, "No excerpts of the prompts");
  command->add_flag("--kinds", options->list_kinds, "Print the table of all kinds");
  command->callback([options, live, &status] {
    if (options->list_kinds) {
      (void)std::fputs(prefix::catalogue_markdown().c_str(), stdout);
      return;
    }
    options->live = live->count() > 0;
    if (options->live && !options->paths.empty()) throw CLI::ExcludesError("--live", "paths");
    if (!options->live && options->paths.empty()) throw CLI::RequiredError("paths");
    status = lint_logs(*options);
  });
}

}  // namespace payonce
