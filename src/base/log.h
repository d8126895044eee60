// Operator's log on standard error, text or JSON lines. Never bodies, never credentials.  Threads: any.
#pragma once

#include <fmt/format.h>

#include <initializer_list>
#include <string_view>
#include <utility>

namespace payonce::base {

enum class LogLevel { kDebug, kInfo, kWarn, kError, kOff };
enum class LogFormat { kText, kJson };
// Before threads start, or from one thread.
void configure_log(LogLevel level, LogFormat format);
LogLevel log_level();

struct LogField {
  std::string_view name;
  std::string_view value;
};
// One line: message and fields, each escaped for the chosen format (a value cannot start a new line).
void log_event(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});

template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  if (log_level() <= LogLevel::kInfo) log_event(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_warn(fmt::format_string<Args...> format, Args&&... args) {
  if (log_level() <= LogLevel::kWarn) log_event(LogLevel::kWarn, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  if (log_level() <= LogLevel::kError) log_event(LogLevel::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace payonce::base
