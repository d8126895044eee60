#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "base/log.h"
#include "payonce/commands.h"
#include "payonce/instance.h"
#include "payonce/run.h"

namespace payonce {
namespace {

std::string greeting(const std::string& url, const std::string& model) {
  const std::string request = fmt::format(
      "  curl -si {}/v1/chat/completions -H 'Content-Type: application/json' \\\n"
      "    -d '{{\"model\":\"default\",\"max_tokens\":64,\"messages\":[{{\"role\":\"user\",\"content\":"
      "\"What is a cache?\"}}]}}'\n",
      url);
  return fmt::format(
      "\nPayonce is ready at {} with {}.\nAsk it something:\n\n{}\nAsk the same again: Cache-Status says hit, and "
      "X-Payonce-Saved what it saved.\nStatus page: {}/\nEnd with Ctrl-C.\n",
      url, model, request, url);
}

int run_up(const config::Flags& flags) {
  const sigset_t signals = prepare_process();
  const auto settings = load_settings(flags);
  if (!settings) return complain(settings.error(), kUsage);
  base::configure_log(settings->log_level, settings->log_format);
  Instance* greeting_for = nullptr;
  const auto greet = [&] { say(greeting(greeting_for->url(), greeting_for->engine()->model_name())); };
  Instance instance(*settings, {.ready = greet, .failed = end_process});
  greeting_for = &instance;
  if (const auto started = instance.start(); !started) return complain(started.error(), kFailed);
  base::log_info("listening on {}; the model is loading", instance.url());
  run_until_told(signals, {.drain = [&] { instance.drain(); },
                           .reload = [&]() -> base::Status {
                             PAYONCE_TRY(const config::Settings fresh, load_settings(flags));
                             instance.reload(fresh);
                             return {};
                           }});
  if (const auto failure = instance.engine()->failure()) return complain(*failure, kFailed);
  return 0;
}

}  // namespace

void add_up(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand("up", "Everything on this machine: a small real model behind the gateway");
  command->footer(
      "Examples:\n"
      "  ./dev run                      fetches the default model, then runs this\n"
      "  payonce up --model model.gguf --kv-memory 4GiB\n"
      "  payonce up --upstream https://api.openai.com/v1   other upstreams beside the model");
  const auto flags = std::make_shared<config::Flags>();
  config::add_flags(*command, config::Command::kUp, *flags);
  command->callback([flags, &status] { status = run_up(*flags); });
}

}  // namespace payonce
