#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <memory>
#include <string>

#include "base/log.h"
#include "payonce/commands.h"
#include "payonce/engine_server.h"
#include "payonce/run.h"

namespace payonce {
namespace {

struct EngineCommandOptions {
  config::Flags flags;
  std::string role = "both", kv;
  bool as_json = false;
};

// The rest of the contract's flags: known, so that a script learns what it asked for instead of "unknown flag".
base::Status check_roles(const EngineCommandOptions& options) {
  if (options.role == "prefill" || options.role == "decode")
    return base::fail(base::Code::kInvalid,
                      fmt::format("--role {}: not in this release; an engine does both (--role both)", options.role));
  if (options.role != "both")
    return base::fail(base::Code::kInvalid,
                      fmt::format("--role: expected both (prefill, decode: later), found \"{}\"", options.role));
  if (!options.kv.empty())
    return base::fail(base::Code::kInvalid,
                      fmt::format("--kv {}: a KV store of its own process is not in this release; --kv-ram and "
                                  "--kv-disk-size keep KV here",
                                  options.kv));
  return {};
}

void announce(const EngineServer& server, bool as_json) {
  if (as_json)
    say(boost::json::serialize(
            boost::json::object{{"url", server.url()}, {"model", server.engine().model_name()}, {"ready", true}}) +
        "\n");
  else
    say(
        fmt::format("\n{} answers at {}/v1\n  curl -s {}/v1/completions -d "
                    "'{{\"prompt\":\"Once upon a time\",\"max_tokens\":16}}'\n",
                    server.engine().model_name(), server.url(), server.url()));
}

int run_engine(const EngineCommandOptions& options) {
  const sigset_t signals = prepare_process();
  if (const auto good = check_roles(options); !good) return complain(good.error(), kUsage);
  const auto settings = load_settings(options.flags);
  if (!settings) return complain(settings.error(), kUsage);
  base::configure_log(settings->log_level, settings->log_format);
  EngineServer* announced = nullptr;
  EngineServer server(*settings, {.ready = [&] { announce(*announced, options.as_json); }, .failed = end_process});
  announced = &server;
  if (const auto started = server.start(); !started) return complain(started.error(), kFailed);
  base::log_info("listening on {}; the model is loading", server.url());
  run_until_told(signals, {.drain = [&] { server.drain(); }});
  if (const auto failure = server.engine().failure()) return complain(*failure, kFailed);
  return 0;
}

}  // namespace

void add_engine(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand("engine", "The inference engine alone: paged KV cache, shared prefixes");
  command->footer(
      "Examples:\n"
      "  payonce engine --model model.gguf\n"
      "  payonce engine --model model.gguf --listen 127.0.0.1:8080 --kv-memory 4GiB --threads 8\n"
      "  payonce engine --model model.gguf --data ./engine        cached prefixes outlive a restart\n"
      "  payonce engine --model model.gguf --public-prefix system.txt\n"
      "  payonce serve --upstream http://127.0.0.1:8080/v1        the gateway before it\n\n"
      "Each credential is a tenant of its own and shares no KV with others. SIGTERM ends after the answers in "
      "progress.");
  const auto options = std::make_shared<EngineCommandOptions>();
  config::add_flags(*command, config::Command::kEngine, options->flags);
  command->add_option("--role", options->role, "both; prefill and decode are not in this release")
      ->type_name("ROLE")
      ->capture_default_str();
  command->add_option("--kv", options->kv, "host:port of a KV store; not in this release")->type_name("ADDRESS");
  command->add_flag("--json", options->as_json, "Print one JSON object when it is ready");
  command->callback([options, &status] { status = run_engine(*options); });
}

}  // namespace payonce
