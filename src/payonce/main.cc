// payonce: the commands and nothing else.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "payonce/commands.h"
#include "payonce/version.h"

int main(int argc, char** argv) {
  CLI::App app{
      "Payonce: an LLM gateway that answers a repeated request from its own store.\n"
      "The most expensive token is the one you paid for twice."};
  app.footer(
      "Examples:\n"
      "  payonce serve --upstream https://api.openai.com/v1\n"
      "  payonce serve --config payonce.toml --check\n"
      "  payonce up --model model.gguf\n"
      "  payonce engine --model model.gguf\n"
      "  payonce cache stats\n"
      "  payonce lint calls.jsonl\n"
      "  payonce mcp -- npx -y @modelcontextprotocol/server-filesystem .\n\n"
      "Each command has a --help of its own.");
  app.set_version_flag("--version", payonce::kVersion);
  app.require_subcommand(1);
  int status = 0;
  payonce::add_serve(app, status);
  payonce::add_up(app, status);
  payonce::add_engine(app, status);
  payonce::add_cache(app, status);
  payonce::add_audit(app, status);
  payonce::add_key(app, status);
  payonce::add_lint(app, status);
  payonce::add_mcp(app, status);
  payonce::add_demo(app, status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (argc > 1 && *argv[1] != '-' && app.get_subcommands().empty()) {
      (void)std::fprintf(stderr, "payonce: no command '%s'; payonce --help lists the commands\n", argv[1]);
      return 2;
    }
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const std::exception& error) {
    (void)std::fprintf(stderr, "payonce: %s\n", error.what());
    return 1;
  }
  return status;
}
