// What `serve` and `up` share: reading the settings, signals, running until told to end.
// Threads: main's alone.
#pragma once

#include <csignal>
#include <functional>
#include <string>

#include "base/result.h"
#include "config/load.h"
#include "payonce/instance.h"

namespace payonce {

inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;

base::Result<config::Settings> load_settings(const config::Flags& flags);
void say(const std::string& text);
int complain(const base::Error& error, int status);  // to standard error; returns status

// Before any other thread starts: signals are waited for by main's thread alone. Also lets the process open as many
// files as the system allows.
sigset_t prepare_process();

using Reload = std::function<base::Result<config::Settings>()>;
// SIGHUP reads the configuration again; a bad one is reported and the old one stays. SIGTERM or SIGINT drains and
// returns.
void run_until_told(Instance& instance, const sigset_t& signals, const Reload& reload);

}  // namespace payonce
