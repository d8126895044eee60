#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "config/settings.h"
#include "mcp/proxy.h"
#include "payonce/commands.h"
#include "payonce/run.h"

namespace payonce {
namespace {

namespace fs = std::filesystem;

struct McpCommandOptions {
  std::vector<std::string> tools;
  std::string ttl, workspace;
  mcp::ProxySettings proxy;
};

// "NAME=cache" or "NAME=pass".
base::Status read_tools(McpCommandOptions& options) {
  for (const std::string& tool : options.tools) {
    const size_t equals = tool.rfind('=');
    const std::string what = equals == std::string::npos ? "" : tool.substr(equals + 1);
    if (equals == 0 || (what != "cache" && what != "pass"))
      return base::fail(base::Code::kInvalid,
                        fmt::format("--tool '{}': expected NAME=cache or NAME=pass, as in --tool search=pass", tool));
    options.proxy.tools[tool.substr(0, equals)] = what == "cache";
  }
  return {};
}

base::Status read_options(McpCommandOptions& options) {
  if (const base::Status read = read_tools(options); !read) return read;
  if (!options.ttl.empty()) {
    PAYONCE_TRY(const int64_t seconds, config::parse_duration_s(options.ttl));
    if (seconds <= 0) return base::fail(base::Code::kInvalid, "--ttl: expected more than 0, as in 90s, 15m, 24h");
    options.proxy.ttl_s = seconds;
  }
  std::error_code error;
  const fs::path here = fs::current_path(error);
  if (error) return base::fail(base::Code::kInvalid, "the working directory cannot be told: " + error.message());
  options.proxy.directory = here.string();
  if (!options.workspace.empty()) {
    options.proxy.workspace = fs::canonical(options.workspace, error).string();
    if (error || !fs::is_directory(options.proxy.workspace))
      return base::fail(base::Code::kInvalid, fmt::format("--workspace '{}' is no directory", options.workspace));
  }
  return {};
}

}  // namespace

void add_mcp(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand(
      "mcp", "Runs an MCP server behind a cache: repeated calls of read-only tools are answered here");
  command->footer(
      "The instance is that of $PAYONCE_SOCKET or $PAYONCE_URL (default http://127.0.0.1:4141), the entries are "
      "those of\n"
      "$PAYONCE_API_KEY. A lookup that takes more than $PAYONCE_TIMEOUT_MS milliseconds (default 50) is a miss.\n"
      "Without an instance everything passes through. Kept are the results of tools that their server\n"
      "calls read-only and either closed-world or idempotent; a file or directory among the arguments that changes "
      "makes\n"
      "its results void, a tool that writes those of the whole workspace. docs/agents/mcp.md says the rest.\n"
      "Exit status: the server's; 127 when there is no such program; 2 for wrong usage.\n\n"
      "Examples:\n"
      "  payonce mcp -- npx -y @modelcontextprotocol/server-filesystem /home/ann/project\n"
      "  payonce mcp --workspace . -- python my_server.py\n"
      "  payonce mcp --tool search_issues=cache --tool now=pass --ttl 10m -- my-server --port 0\n"
      "  claude mcp add files -- payonce mcp -- npx -y @modelcontextprotocol/server-filesystem .");
  const auto options = std::make_shared<McpCommandOptions>();
  command->add_option("command", options->proxy.command, "The MCP server and its arguments, after --")->required();
  command
      ->add_option(
          "--tool", options->tools,
          "NAME=cache keeps a tool's results whatever its server says of it, NAME=pass never does; repeatable")
      ->type_name("NAME=cache|pass")
      ->allow_extra_args(false);
  command
      ->add_option(
          "--ttl", options->ttl,
          "How long results are kept: 90s, 15m, 24h. Default 1h where what they depend on is checked, else 5m")
      ->type_name("TIME");
  command
      ->add_option("--workspace", options->workspace,
                   "A directory that every result depends on, beside its arguments: as git sees it where it is a "
                   "checkout, else its tree")
      ->type_name("DIR");
  command->add_flag("--verbose", options->proxy.verbose, "Says each hit and miss, and why, on the standard error");
  command->positionals_at_end();
  command->callback([options, &status] {
    const base::Status read = read_options(*options);
    status = read ? mcp::run_proxy(options->proxy) : complain(read.error(), kUsage);
  });
}

}  // namespace payonce
