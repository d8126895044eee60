#include "payonce/run.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <optional>

#include "base/env.h"
#include "base/log.h"
#include "base/terminal.h"

namespace payonce {
namespace {

std::optional<std::string> environment(std::string_view name) {
  const char* value = getenv(std::string(name).c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

// Thousands of connections need as many files as the system lets us have.
void raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

// The memory holds credentials, prompts and answers, which a core file would leave on a disk. Who hunts a crash
// raises the soft limit of the running process (prlimit --core=unlimited --pid PID).
void leave_no_core() {
  rlimit limit{};
  if (getrlimit(RLIMIT_CORE, &limit) != 0) return;
  limit.rlim_cur = 0;
  (void)setrlimit(RLIMIT_CORE, &limit);
}

}  // namespace

base::Result<config::Settings> load_settings(const config::Flags& flags) {
  base::PosixEnv files;
  return config::load(flags, environment, files);
}

void say(const std::string& text) {
  (void)std::fputs(text.c_str(), stdout);
  (void)std::fflush(stdout);
}

int complain(const std::string& what, int status) {
  (void)std::fprintf(stderr, "payonce: %s\n", base::for_terminal(what).c_str());
  return status;
}

int complain(const base::Error& error, int status) { return complain(error.message, status); }

sigset_t prepare_process() {
  raise_file_limit();
  leave_no_core();
  (void)::umask(0077);  // what libraries write, too: SQLite makes its files readable by all
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  (void)std::signal(SIGPIPE, SIG_IGN);
  return set;
}

void run_until_told(const sigset_t& signals, const Told& told) {
  while (true) {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0) continue;
    if (signal != SIGHUP) break;
    if (!told.reload) {
      base::log_info("SIGHUP: nothing that could be read again");
    } else if (const auto taken = told.reload(); taken) {
      base::log_info("configuration read again: upstreams, keys, prices, limits and policy are in force");
    } else {
      base::log_error("configuration not taken, the old one stays: {}", taken.error().message);
    }
  }
  base::log_info("ending: no new requests; waiting for answers in progress (again to end at once)");
  for (const int signal : {SIGTERM, SIGINT}) (void)std::signal(signal, [](int) { _exit(kFailed); });
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  told.drain();
}

void end_process() { (void)kill(getpid(), SIGTERM); }

void wait_for(const std::function<void(std::function<void()> done)>& start) {
  std::mutex mutex;
  std::condition_variable told;
  bool is_done = false;
  start([&] {
    const std::lock_guard lock(mutex);
    is_done = true;
    told.notify_all();
  });
  std::unique_lock lock(mutex);
  told.wait(lock, [&] { return is_done; });
}

}  // namespace payonce
