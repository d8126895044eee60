#include "upstream/llama_server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <system_error>

#include "base/log.h"
#include "upstream/child_process.h"

namespace payonce::upstream {
namespace {

constexpr int64_t kMaxRestartPauseMs = 30'000;
constexpr int64_t kWatchPauseMs = 50;  // between two looks at the process
constexpr int kHealthTimeoutMs = 1'000;

// SIGTERM and time to finish, then SIGKILL. The process is gone afterwards.
void end_child(pid_t process, int64_t timeout_ms) {
  kill(process, SIGTERM);
  for (int64_t waited_ms = 0; !child_end(process); waited_ms += kWatchPauseMs) {
    if (waited_ms >= timeout_ms) kill(process, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(kWatchPauseMs));
  }
}

}  // namespace

base::Result<std::string> LlamaServer::identity(const std::string& model_file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(model_file, error);
  if (error)
    return base::fail(base::Code::kNotFound, fmt::format("model '{}': {}; run ./dev run, or pass --model FILE",
                                                         model_file, error.message()));
  return fmt::format("local:{}:{}", std::filesystem::path(model_file).filename().string(), size);
}

base::Status LlamaServer::start() {
  if (access(options_.binary.c_str(), X_OK) != 0)
    return base::fail(
        base::Code::kNotFound,
        fmt::format("no llama-server at '{}'; run ./dev run, or pass --llama-server FILE", options_.binary));
  PAYONCE_TRY(const std::string name, identity(options_.model_file));
  PAYONCE_TRY(port_, free_loopback_port());
  base::log_info("starting {} for {} at {}; its log: {}", options_.binary, name, base_url(), options_.log_file);
  supervisor_ = std::thread([this] { supervise(); });
  return {};
}

void LlamaServer::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (supervisor_.joinable()) supervisor_.join();
}

std::string LlamaServer::base_url() const { return fmt::format("http://127.0.0.1:{}/v1", port_); }

std::vector<std::string> LlamaServer::arguments() const {
  std::vector<std::string> out = {options_.binary,
                                  "-m",
                                  options_.model_file,
                                  "--host",
                                  "127.0.0.1",
                                  "--port",
                                  std::to_string(port_),
                                  "-c",
                                  std::to_string(options_.context_tokens),
                                  "-np",
                                  std::to_string(options_.parallel),
                                  "--no-webui"};
  if (options_.threads > 0) out.insert(out.end(), {"-t", std::to_string(options_.threads)});
  return out;
}

void LlamaServer::supervise() {
  int64_t pause_ms = options_.first_restart_pause_ms;
  while (!stopping()) {
    const auto process = start_child(arguments(), options_.log_file);
    if (!process) {
      base::log_error("the local model did not start: {}", process.error().message);
    } else if (watch(*process)) {
      pause_ms = options_.first_restart_pause_ms;
    }
    if (pause_unless_stopping(pause_ms)) return;
    pause_ms = std::min(pause_ms * 2, kMaxRestartPauseMs);
    ++restarts_;
  }
}

bool LlamaServer::watch(pid_t process) {
  bool was_ready = false;
  while (!pause_unless_stopping(kWatchPauseMs)) {
    if (const auto end = child_end(process)) {
      ready_ = false;
      base::log_error("the local model's server ended ({}) and is started again; see {}", *end, options_.log_file);
      return was_ready;
    }
    if (was_ready || http_get_status(port_, "/health", kHealthTimeoutMs) != 200) continue;
    was_ready = true;
    ready_ = true;
    base::log_info("the local model is ready at {}", base_url());
  }
  ready_ = false;
  end_child(process, options_.stop_timeout_ms);
  return was_ready;
}

bool LlamaServer::pause_unless_stopping(int64_t ms) {
  std::unique_lock lock(mutex_);
  return wake_.wait_for(lock, std::chrono::milliseconds(ms), [this] { return stopping_; });
}

bool LlamaServer::stopping() {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

}  // namespace payonce::upstream
