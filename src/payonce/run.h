// What `serve`, `up` and `engine` share: reading the settings, signals, running until told to end.
// Threads: main's alone.
#pragma once

#include <csignal>
#include <functional>
#include <string>

#include "base/result.h"
#include "config/load.h"
#include "config/settings.h"

namespace payonce {

inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;

base::Result<config::Settings> load_settings(const config::Flags& flags);
void say(const std::string& text);
int complain(const std::string& what, int status);  // to standard error; returns status
int complain(const base::Error& error, int status);

// Before any other thread starts: signals are waited for by main's thread alone. Also lets the process open as many
// files as the system allows, leave no core file, and keep its
// files to their owner.
sigset_t prepare_process();

struct Told {
  std::function<void()> drain;           // SIGTERM or SIGINT; returns when the last answer is out
  std::function<base::Status()> reload;  // SIGHUP; null: ignored. An error is reported, and all stays as it was
};
// Returns after the drain.
void run_until_told(const sigset_t& signals, const Told& told);

// As SIGTERM from outside would: run_until_told() drains and returns.  Threads: any.
void end_process();

// Calls `start` with a function, and returns when that has been called, on whatever thread.
void wait_for(const std::function<void(std::function<void()> done)>& start);

}  // namespace payonce
