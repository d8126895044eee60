#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <memory>
#include <string>

#include "base/terminal.h"
#include "base/utf8.h"

namespace payonce::base {
namespace {

std::atomic<LogLevel> g_level{LogLevel::kInfo};  // the operator's choice, set once at start
std::atomic<LogFormat> g_format{LogFormat::kText};

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>("payonce", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_level(spdlog::level::trace);
    made->set_pattern("%v");
    return made;
  }();
  return *instance;
}

void append_escaped(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const auto [size, code] = front_character(text);
    if (size == 0)
      out += "\\ufffd";
    else if (is_acting(code))
      out += fmt::format("\\u{:04x}", code);
    else if (code == '"' || code == '\\')
      out.append("\\").append(text.substr(0, 1));
    else
      out += text.substr(0, size);
    text.remove_prefix(std::max<size_t>(size, 1));
  }
}

constexpr std::string_view kLevelNames[] = {"debug", "info", "warn", "error", "off"};

}  // namespace

void configure_log(LogLevel level, LogFormat format) {
  g_level = level;
  g_format = format;
}

LogLevel log_level() { return g_level.load(std::memory_order_relaxed); }

void log_event(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  if (level < log_level() || level == LogLevel::kOff) return;
  std::string line;
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const auto seconds = std::chrono::floor<std::chrono::seconds>(now);
  const std::time_t unix_s = std::chrono::system_clock::to_time_t(seconds);
  std::tm utc{};
  gmtime_r(&unix_s, &utc);
  const std::string time =
      fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                  utc.tm_hour, utc.tm_min, utc.tm_sec, (now - seconds).count());
  const std::string_view name = kLevelNames[static_cast<size_t>(level)];
  if (g_format.load(std::memory_order_relaxed) == LogFormat::kJson) {
    line = fmt::format(R"({{"time":"{}","level":"{}","message":")", time, name);
    append_escaped(line, message);
    for (const LogField& field : fields) {
      line += R"(",")";
      append_escaped(line, field.name);
      line += R"(":")";
      append_escaped(line, field.value);
    }
    line += "\"}";
  } else {
    line = fmt::format("{} {:5} ", time, name);
    append_escaped(line, message);
    for (const LogField& field : fields) {
      line += ' ';
      line += field.name;
      line += "=\"";
      append_escaped(line, field.value);
      line += '"';
    }
  }
  logger().log(spdlog::level::info, "{}", line);
}

}  // namespace payonce::base
