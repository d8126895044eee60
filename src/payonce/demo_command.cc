#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>

#include "base/log.h"
#include "demo/recorded_day.h"
#include "payonce/audit_run.h"
#include "payonce/commands.h"
#include "payonce/engine_server.h"
#include "payonce/progress_bar.h"
#include "payonce/remote.h"
#include "payonce/run.h"

namespace payonce {
namespace {

namespace json = boost::json;
using std::chrono::steady_clock;

constexpr int64_t kDay_ms = 86'400'000;
constexpr int64_t kLongestAnswer_ms = 600'000;  // of a large model on a small machine

struct DemoCommandOptions {
  std::string model, folder = "payonce-demo";
  size_t questions = 900;
  uint64_t seed = 1;
  bool no_model = false, no_open = false;
};

// One question to the model; how it was answered, and in which time.
base::Result<demo::Sampled> ask(const Remote& engine, const std::string& request) {
  const auto began = steady_clock::now();
  PAYONCE_TRY(const std::string body, call(engine, "POST", "/v1/chat/completions", request));
  demo::Sampled out{.ms = std::chrono::duration<double, std::milli>(steady_clock::now() - began).count()};
  boost::system::error_code error;
  const json::value answer = json::parse(body, error);
  const json::value* text = error ? nullptr : answer.find_pointer("/choices/0/message/content", error);
  const json::value* tokens = error ? nullptr : answer.find_pointer("/usage/completion_tokens", error);
  if (error || !text->is_string() || !tokens->is_int64())
    return base::fail(base::Code::kInvalid, "the engine's answer is not what was expected: " + body.substr(0, 200));
  out.answer = text->as_string();
  out.output_tokens = tokens->as_int64();
  return out;
}

// Each topic asked once, for real.
base::Result<demo::Sample> sample(const config::Settings& settings, const std::vector<demo::Topic>& topics) {
  std::promise<bool> loaded;
  EngineServer server(settings,
                      {.ready = [&] { loaded.set_value(true); }, .failed = [&] { loaded.set_value(false); }});
  PAYONCE_CHECK_OK(server.start());
  if (!loaded.get_future().get())
    return base::fail(server.engine().failure().value_or(base::Error{base::Code::kUnavailable, "the model"}));
  const Remote engine{.url = server.url(), .token = "demo", .timeout_ms = kLongestAnswer_ms};
  ProgressBar bar;
  demo::Sample out;
  // The first of two with the same front: how much longer it takes is what computing that front costs.
  PAYONCE_TRY(const demo::Sampled cold, ask(engine, demo::assistant_request(topics, topics[0].questions[1])));
  for (size_t i = 0; i < topics.size(); ++i) {
    bar.show("asking", i, topics.size());
    PAYONCE_TRY(demo::Sampled one, ask(engine, demo::assistant_request(topics, topics[i].questions[0])));
    out.topics.push_back(std::move(one));
  }
  out.cold_ms = std::max(0.0, cold.ms - out.topics[0].ms);
  server.drain();
  return out;
}

// Shows the page where there is a screen; nothing is said where there is none.
void open_page(const std::string& file) {
  if (isatty(STDOUT_FILENO) == 0 || (getenv("DISPLAY") == nullptr && getenv("WAYLAND_DISPLAY") == nullptr)) return;
  if (fork() == 0) {
    (void)freopen("/dev/null", "w", stderr);
    execlp("xdg-open", "xdg-open", file.c_str(), nullptr);
    _exit(1);
  }
}

int run_demo(const DemoCommandOptions& options) {
  config::Flags flags{.command = config::Command::kEngine, .config_file = {}, .values = {}};
  flags.values["listen"] = "127.0.0.1:0";
  if (!options.model.empty()) flags.values["model"] = options.model;
  const auto settings = load_settings(flags);
  if (!settings) return complain(settings.error(), kUsage);
  base::configure_log(base::LogLevel::kError, settings->log_format);

  const std::vector<demo::Topic> topics = demo::topics();
  demo::Sample answers = demo::assumed_sample(topics);
  if (!options.no_model) {
    say(fmt::format("Asking a real model {} questions, for its answers and its times …\n", topics.size() + 1));
    auto real = sample(*settings, topics);
    if (!real) return complain({real.error().code, real.error().message + "; --no-model does without"}, kFailed);
    answers = *std::move(real);
  }
  const int64_t now_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  const demo::Day day{
      .seed = options.seed, .begins_ms = now_ms / kDay_ms * kDay_ms - kDay_ms, .questions = options.questions};
  std::error_code failed;
  std::filesystem::create_directories(options.folder, failed);
  const std::string log = options.folder + "/day.jsonl", page = options.folder + "/report.html";
  std::ofstream file(log, std::ios::binary | std::ios::trunc);
  if (!(file << demo::as_log(demo::plan(day, topics), answers, options.seed)) || !file.flush())
    return complain(fmt::format("cannot write '{}'; choose a folder with --out", log), kFailed);
  say("Replaying yesterday through the layers …\n\n");
  AuditOptions audit{.logs = {log}, .format = {}, .html_file = page, .json_file = options.folder + "/report.json"};
  audit.wanted.show_text = true;
  if (const int status = run_audit(audit, *settings); status != 0) return status;
  say(fmt::format(
      "\nThe day is made up ({} and {}, at their list prices){}; the replay is the real thing.\n"
      "Your own: payonce audit LOG… --out report.html\n",
      demo::kAssistantModel, demo::kAgentModel,
      options.no_model ? ", answers and times too" : "; answers and times of the assistant are a real model's"));
  if (!options.no_open) open_page(page);
  return 0;
}

}  // namespace

void add_demo(CLI::App& app, int& status) {
  CLI::App* command =
      app.add_subcommand("demo", "A realistic day replayed through the real thing, ending with the report");
  command->footer(
      "Examples:\n"
      "  payonce demo                        the report in payonce-demo/report.html, in about a minute\n"
      "  payonce demo --no-model             without a model's answers and times: some seconds\n"
      "  payonce demo --questions 5000 --out /tmp/demo");
  const auto options = std::make_shared<DemoCommandOptions>();
  command
      ->add_option("--model", options->model, "GGUF file of the model that is asked; default: what ./dev run fetches")
      ->type_name("FILE");
  command->add_option("--out", options->folder, "Folder of log and report")
      ->type_name("FOLDER")
      ->capture_default_str();
  command->add_option("--questions", options->questions, "How many questions are asked that day")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Another day")->capture_default_str();
  command->add_flag("--no-model", options->no_model, "Ask no model");
  command->add_flag("--no-open", options->no_open, "Do not open the report");
  command->callback([options, &status] { status = run_demo(*options); });
}

}  // namespace payonce
