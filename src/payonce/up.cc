#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>

#include "base/env.h"
#include "base/log.h"
#include "payonce/commands.h"
#include "payonce/run.h"
#include "upstream/llama_server.h"

namespace payonce {
namespace {

constexpr std::chrono::milliseconds kReadyPoll{50};

std::string greeting(const std::string& url, const std::string& model) {
  const std::string request = fmt::format(
      "  curl -si {}/v1/chat/completions -H 'Content-Type: application/json' \\\n"
      "    -d '{{\"model\":\"local\",\"messages\":[{{\"role\":\"user\",\"content\":\"What is a "
      "cache?\"}}],\"max_tokens\":64}}'\n",
      url);
  return fmt::format(
      "\nPayonce is ready at {} with {}.\nAsk it something:\n\n{}\nAsk the same again: Cache-Status says hit, and "
      "X-Payonce-Saved what it saved.\nStatus page: {}/\nEnd with Ctrl-C.\n",
      url, model, request, url);
}

base::Result<route::UpstreamPtr> local_upstream(const upstream::LlamaServer& server, const std::string& model_file) {
  auto out = std::make_shared<route::Upstream>();
  out->name = "local";
  PAYONCE_TRY(out->identity, upstream::LlamaServer::identity(model_file));
  out->base_url = server.base_url();
  out->anthropic_base_url = out->base_url.substr(0, out->base_url.size() - 3);
  out->forward_credential = false;
  return out;
}

int run_up(const config::Flags& flags) {
  const sigset_t signals = prepare_process();
  auto settings = load_settings(flags);
  if (!settings) return complain(settings.error(), kUsage);
  base::configure_log(settings->log_level, settings->log_format);
  base::PosixEnv files;
  (void)files.make_directories(settings->data_dir);
  upstream::LlamaServer model({.binary = settings->llama_server,
                               .model_file = settings->model_file,
                               .log_file = settings->data_dir + "/llama-server.log"});
  if (const auto started = model.start(); !started) return complain(started.error(), kFailed);
  const auto local = local_upstream(model, settings->model_file);
  if (!local) return complain(local.error(), kFailed);
  settings->upstreams.insert(settings->upstreams.begin(), *local);
  Instance instance(*settings, [&model] { return model.ready(); });
  if (const auto started = instance.start(); !started) return complain(started.error(), kFailed);
  base::log_info("listening on {}; the model is loading", instance.url());
  const std::string name = settings->model_file.substr(settings->model_file.rfind('/') + 1);
  const std::jthread herald([&](const std::stop_token& stop) {
    while (!stop.stop_requested() && !model.ready()) std::this_thread::sleep_for(kReadyPoll);
    if (model.ready()) say(greeting(instance.url(), name));
  });
  run_until_told(instance, signals, [&]() -> base::Result<config::Settings> {
    PAYONCE_TRY(config::Settings fresh, load_settings(flags));
    fresh.upstreams.insert(fresh.upstreams.begin(), *local);
    return fresh;
  });
  model.stop();
  return 0;
}

}  // namespace

void add_up(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand("up", "Everything on this machine: a small real model behind the gateway");
  command->footer(
      "Examples:\n"
      "  ./dev run                      fetches the default model and its server, then runs this\n"
      "  payonce up --model model.gguf --llama-server /usr/local/bin/llama-server");
  const auto flags = std::make_shared<config::Flags>();
  config::add_flags(*command, *flags);
  command->callback([flags, &status] { status = run_up(*flags); });
}

}  // namespace payonce
