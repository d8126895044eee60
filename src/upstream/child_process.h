// A child process that does not outlive us, and the small blocking calls that its supervisor needs.
// Threads: any; the child gets SIGTERM when the thread that started it ends.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace payonce::upstream {

// Runs arguments[0] (a path) with standard output and error appended to log_file, and none of our other descriptors.
// kUnavailable when the log file cannot be opened or the program cannot be executed.
base::Result<pid_t> start_child(const std::vector<std::string>& arguments, const std::string& log_file);

// How the child ended ("exit status 1", "signal 9"), or nullopt while it runs. Never waits.
std::optional<std::string> child_end(pid_t process);

// A port of 127.0.0.1 that is free now. Another process may take it before it is used; the supervisor would notice.
base::Result<uint16_t> free_loopback_port();

// The status of GET path at 127.0.0.1:port; 0: no answer in time.
int http_get_status(uint16_t port, const std::string& path, int timeout_ms);

}  // namespace payonce::upstream
