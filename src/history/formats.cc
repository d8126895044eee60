#include <algorithm>

#include "history/body.h"
#include "history/readers.h"
#include "history/records.h"

namespace payonce::history {
namespace {

// Of a file, to tell its format.
constexpr size_t kLookedAtRecords = 64;
constexpr size_t kLookedAtBytes = size_t{4} << 20;

bool claims_nothing(const Json&) { return false; }

}  // namespace

const std::array<FormatEntry, kFormats>& formats() {
  static constexpr std::array<FormatEntry, kFormats> kTable = {{
      {Format::kClaudeCode, "claude-code", claims_claude_code, make_claude_code},
      {Format::kCodex, "codex", claims_codex, make_codex},
      {Format::kGeminiCli, "gemini-cli", claims_gemini_cli, make_gemini_cli},
      {Format::kOpenCode, "opencode", claims_open_code, make_open_code},
      {Format::kOtel, "otel", claims_otel, make_otel},
      {Format::kBatch, "batch", claims_batch, make_batch},
      {Format::kHelicone, "helicone", claims_helicone, make_helicone},
      {Format::kLiteLlm, "litellm", claims_lite_llm, make_lite_llm},
      {Format::kLangfuse, "langfuse", claims_langfuse, make_langfuse},
      {Format::kRows, "rows", claims_nothing, make_rows},
  }};
  return kTable;
}

std::string_view format_name(Format format) {
  for (const FormatEntry& entry : formats())
    if (entry.format == format) return entry.name;
  return "unknown";
}

std::optional<Format> format_named(std::string_view name) {
  for (const FormatEntry& entry : formats())
    if (entry.name == name) return entry.format;
  return std::nullopt;
}

Json list_in(const Json& value) {
  for (const std::string_view name : {"data", "spend_logs", "logs"}) {
    const Json list = value[name];
    if (!list.is_array() || list.size() == 0 || is_request_body(value) || value["request"]) continue;
    bool objects = true;
    list.each([&](const Json& one) { objects = objects && one.is_object(); });
    if (objects) return list;
  }
  return {};
}

Format detect(std::string_view text, Layout layout, const Limits& limits) {
  Format found = Format::kRows;
  size_t seen = 0, bytes = 0;
  Arena arena;
  const auto claimed = [&](const Json& value) {
    for (const FormatEntry& entry : formats())
      if (entry.claims(value)) {
        found = entry.format;
        return true;
      }
    return false;
  };
  Visitor visitor;
  visitor.bad = [](uint64_t, std::string) {};
  visitor.record = [&](const Json& value, uint64_t) {
    bool done = value.is_object() && claimed(value);
    if (const Json list = done ? Json() : list_in(value))
      list.each([&](const Json& one) { done = done || claimed(one); });
    bytes += value.raw().size();
    return !done && ++seen < kLookedAtRecords && bytes < kLookedAtBytes;
  };
  each_record(text, layout, limits.record_bytes, arena, visitor);
  return found;
}

}  // namespace payonce::history
