#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/log.h"
#include "payonce/commands.h"
#include "payonce/data_directory.h"
#include "payonce/instance.h"
#include "payonce/run.h"

namespace payonce {
namespace {

int run_serve(const config::Flags& flags, bool check) {
  const sigset_t signals = prepare_process();
  auto settings = load_settings(flags);
  if (!settings) return complain(settings.error(), flags.config_file.empty() ? kUsage : kFailed);
  if (settings->upstreams.empty() && settings->retrieval.stores.empty())
    return complain({base::Code::kInvalid,
                     "no upstream; name one with --upstream URL (for example https://api.openai.com/v1) or "
                     "in a file with --config FILE"},
                    kUsage);
  if (check) {
    const auto data = check_data_directory(*settings);
    if (!data) return complain(data.error(), kFailed);
    say(fmt::format("configuration is good: {} upstream(s), {} key(s), {} vector store(s)\n",
                    settings->upstreams.size(), settings->keys.size(), settings->retrieval.stores.size()) +
        *data);
    return 0;
  }
  base::configure_log(settings->log_level, settings->log_format);
  Instance instance(*settings);
  if (const auto started = instance.start(); !started) return complain(started.error(), kFailed);
  base::log_info("listening on {} for {} upstream(s)", instance.url(), settings->upstreams.size());
  run_until_told(signals, {.drain = [&] { instance.drain(); },
                           .reload = [&]() -> base::Status {
                             PAYONCE_TRY(const config::Settings fresh, load_settings(flags));
                             instance.reload(fresh);
                             return {};
                           }});
  return 0;
}

}  // namespace

void add_serve(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand("serve", "The gateway in front of providers or self-hosted engines");
  command->footer(
      "Examples:\n"
      "  payonce serve --upstream https://api.openai.com/v1\n"
      "  payonce serve --upstream http://127.0.0.1:8000/v1 --listen 127.0.0.1:8080 --data ./cache\n"
      "  payonce serve --config payonce.toml --check\n"
      "  OPENAI_BASE_URL=http://127.0.0.1:4141/v1 python my_program.py\n\n"
      "SIGHUP reads the configuration again, SIGTERM ends after the answers in progress.");
  const auto flags = std::make_shared<config::Flags>();
  const auto check = std::make_shared<bool>(false);
  config::add_flags(*command, config::Command::kServe, *flags);
  command->add_flag("--check", *check, "Validate the configuration and exit");
  command->callback([flags, check, &status] { status = run_serve(*flags, *check); });
}

}  // namespace payonce
