#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <memory>
#include <optional>
#include <string>

#include "base/env.h"
#include "base/log.h"
#include "config/load.h"
#include "payonce/commands.h"
#include "payonce/instance.h"
#include "upstream/llama_server.h"

namespace payonce {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

std::optional<std::string> environment(std::string_view name) {
  const char* value = getenv(std::string(name).c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

base::Result<config::Settings> load(const config::Flags& flags) {
  base::PosixEnv files;
  return config::load(flags, environment, files);
}

void say(const std::string& text) {
  (void)std::fputs(text.c_str(), stdout);
  (void)std::fflush(stdout);
}

int complain(const base::Error& error, int status) {
  (void)std::fprintf(stderr, "payonce: %s\n", error.message.c_str());
  return status;
}

// Thousands of connections need as many files as the system lets us have.
void raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

// Signals are waited for by main's thread alone, so this comes before any other thread starts.
sigset_t hold_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  (void)std::signal(SIGPIPE, SIG_IGN);
  return set;
}

using Reload = std::function<base::Result<config::Settings>()>;

// Until told to end. SIGHUP reads the configuration again; a bad one is reported and the old one stays.
void run_until_told(Instance& instance, const sigset_t& signals, const Reload& reload) {
  while (true) {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0) continue;
    if (signal != SIGHUP) break;
    const auto settings = reload();
    if (settings) {
      instance.reload(*settings);
      base::log_info("configuration read again: upstreams, keys, prices, limits and policy are in force");
    } else {
      base::log_error("configuration not taken, the old one stays: {}", settings.error().message);
    }
  }
  base::log_info("ending: no new requests; waiting for answers in progress (again to end at once)");
  for (const int signal : {SIGTERM, SIGINT}) (void)std::signal(signal, [](int) { _exit(kFailed); });
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  instance.drain();
}

int run_serve(const config::Flags& flags, bool check) {
  const sigset_t signals = hold_signals();
  auto settings = load(flags);
  if (!settings) return complain(settings.error(), flags.config_file.empty() ? kUsage : kFailed);
  if (settings->upstreams.empty())
    return complain({base::Code::kInvalid,
                     "no upstream; name one with --upstream URL (for example https://api.openai.com/v1) or "
                     "in a file with --config FILE"},
                    kUsage);
  if (check) {
    say(fmt::format("configuration is good: {} upstream(s), {} key(s)\n", settings->upstreams.size(),
                    settings->keys.size()));
    return 0;
  }
  base::configure_log(settings->log_level, settings->log_format);
  raise_file_limit();
  Instance instance(*settings, nullptr);
  if (const auto started = instance.start(); !started) return complain(started.error(), kFailed);
  base::log_info("listening on {} for {} upstream(s)", instance.url(), settings->upstreams.size());
  run_until_told(instance, signals, [&] { return load(flags); });
  return 0;
}

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

std::shared_ptr<const route::Upstream> local_upstream(const upstream::LlamaServer& server,
                                                      const std::string& model_file) {
  auto out = std::make_shared<route::Upstream>();
  out->name = "local";
  out->identity = upstream::LlamaServer::identity(model_file);
  out->base_url = server.base_url();
  out->anthropic_base_url = out->base_url.substr(0, out->base_url.size() - 3);
  out->forward_credential = false;
  return out;
}

int run_up(const config::Flags& flags) {
  const sigset_t signals = hold_signals();
  auto settings = load(flags);
  if (!settings) return complain(settings.error(), kUsage);
  base::configure_log(settings->log_level, settings->log_format);
  raise_file_limit();
  base::PosixEnv files;
  (void)files.make_directories(settings->data_dir);
  upstream::LlamaServer model({.binary = settings->llama_server,
                               .model_file = settings->model_file,
                               .log_file = settings->data_dir + "/llama-server.log"});
  if (const auto started = model.start(); !started) return complain(started.error(), kFailed);
  const route::UpstreamPtr local = local_upstream(model, settings->model_file);
  settings->upstreams.insert(settings->upstreams.begin(), local);
  Instance instance(*settings, [&model] { return model.ready(); });
  if (const auto started = instance.start(); !started) return complain(started.error(), kFailed);
  base::log_info("listening on {}; the model is loading", instance.url());
  model.on_ready([&, name = settings->model_file.substr(settings->model_file.rfind('/') + 1)] {
    say(greeting(instance.url(), name));
  });
  run_until_told(instance, signals, [&]() -> base::Result<config::Settings> {
    PAYONCE_TRY(config::Settings fresh, load(flags));
    fresh.upstreams.insert(fresh.upstreams.begin(), local);
    return fresh;
  });
  model.stop();
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
  config::add_flags(*command, *flags);
  command->add_flag("--check", *check, "Validate the configuration and exit");
  command->callback([flags, check, &status] { status = run_serve(*flags, *check); });
}

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
