// A local llama-server (llama.cpp) as an upstream: starts it, waits until it answers, starts it again when it dies.
// Threads: start() and stop() one thread; the rest any. One supervising thread of its own, which forks:
// PR_SET_PDEATHSIG (prctl(2)) is bound to the forking thread, so the server dies with that thread and so with this
// process. Owner: whoever serves it; the destructor stops it.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"

namespace payonce::upstream {

class LlamaServer {
 public:
  struct Options {
    std::string binary;
    std::string model_file;
    std::string log_file;                    // its standard output and error are appended here
    int context_tokens = 8192;               // of all requests together
    int parallel = 2;                        // requests at a time
    int threads = 0;                         // 0: as the server chooses
    int64_t first_restart_pause_ms = 1'000;  // doubles with each death in a row, up to 30 s
    int64_t stop_timeout_ms = 5'000;         // from SIGTERM to SIGKILL
  };
  explicit LlamaServer(Options options) : options_(std::move(options)) {}
  ~LlamaServer() { stop(); }
  LlamaServer(const LlamaServer&) = delete;
  LlamaServer& operator=(const LlamaServer&) = delete;

  // kNotFound: no binary or model, with what to do; kUnavailable: no port, or the log file cannot be written. Does
  // not wait for the model to be loaded: see ready().
  base::Status start();
  void stop();  // SIGTERM, then SIGKILL; again is fine

  bool ready() const { return ready_.load(); }  // GET /health answered 200, and the process still lives
  std::string base_url() const;                 // "http://127.0.0.1:PORT/v1", the same after a restart
  int restarts() const { return restarts_.load(); }

  // What makes its answers its own, for cache keys: "local:<file name>:<size in bytes>". kNotFound without the file.
  static base::Result<std::string> identity(const std::string& model_file);

 private:
  std::vector<std::string> arguments() const;
  void supervise();
  bool watch(pid_t process);               // until it ends or stop() is called; true: it was ready in between
  bool pause_unless_stopping(int64_t ms);  // true: stop() was called
  bool stopping();

  const Options options_;
  uint16_t port_ = 0;
  std::atomic<bool> ready_{false};
  std::atomic<int> restarts_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // guarded by mutex_
  std::thread supervisor_;
};

}  // namespace payonce::upstream
