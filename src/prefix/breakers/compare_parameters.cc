// Settings beside the messages on which a provider's cache depends.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "prefix/breakers/breaks.h"
#include "prefix/breakers/entities.h"
#include "prefix/breakers/json_place.h"

namespace payonce::prefix {
namespace {

using llm::JsonType;
using llm::Tape;

enum class Reach : uint8_t { kAll, kMessages };  // what a change voids

// One setting: where it stands and which values mean the same as leaving it out.
struct Setting {
  std::string_view member, inner;  // inner: of an object; "" = the whole value
  Kind kind;
  Reach reach;
  std::array<std::string_view, 3> defaults;  // without white space; strings without quotes
};

constexpr std::array<Setting, 15> kSettings = {{
    {"tool_choice", "", Kind::kToolChoiceFlip, Reach::kMessages, {"auto", R"({"type":"auto"})", "null"}},
    {"parallel_tool_calls", "", Kind::kToolChoiceFlip, Reach::kMessages, {"true", "null", ""}},
    {"response_format", "", Kind::kToolChoiceFlip, Reach::kMessages, {R"({"type":"text"})", "null", ""}},
    {"text", "format", Kind::kToolChoiceFlip, Reach::kMessages, {R"({"type":"text"})", "null", ""}},
    {"output_config", "format", Kind::kToolChoiceFlip, Reach::kMessages, {"null", "", ""}},
    {"thinking", "", Kind::kThinkingFlip, Reach::kMessages, {R"({"type":"disabled"})", "null", ""}},
    {"reasoning", "effort", Kind::kThinkingFlip, Reach::kMessages, {"medium", "null", ""}},
    {"reasoning_effort", "", Kind::kThinkingFlip, Reach::kMessages, {"medium", "null", ""}},
    {"effort", "", Kind::kThinkingFlip, Reach::kMessages, {"high", "null", ""}},
    {"output_config", "effort", Kind::kThinkingFlip, Reach::kMessages, {"high", "null", ""}},
    {"text", "verbosity", Kind::kThinkingFlip, Reach::kMessages, {"medium", "null", ""}},
    {"verbosity", "", Kind::kThinkingFlip, Reach::kMessages, {"medium", "null", ""}},
    {"speed", "", Kind::kThinkingFlip, Reach::kMessages, {"standard", "null", ""}},
    {"chat_template_kwargs", "", Kind::kThinkingFlip, Reach::kAll, {"{}", "null", ""}},
    {"enable_thinking", "", Kind::kThinkingFlip, Reach::kAll, {"null", "", ""}},
}};

uint32_t node_of(const KeptRequest& kept, const Setting& setting) {
  const uint32_t outer = kept.tape().find(kept.body(), 0, setting.member);
  if (outer == Tape::kNone || setting.inner.empty()) return outer;
  return kept.tape()[outer].type == JsonType::kObject ? kept.tape().find(kept.body(), outer, setting.inner)
                                                      : Tape::kNone;
}

// "" where it is left out or says what leaving it out means.
std::string value_of(const KeptRequest& kept, const Setting& setting) {
  const uint32_t node = node_of(kept, setting);
  if (node == Tape::kNone) return {};
  std::string out;
  if (kept.tape()[node].type == JsonType::kString) {
    out = kept.text(node);
  } else {
    for (const char c : kept.raw(node))
      if (c != ' ' && c != '\n' && c != '\r' && c != '\t') out += c;
  }
  return std::find(setting.defaults.begin(), setting.defaults.end(), out) != setting.defaults.end() ? "" : out;
}

void compare_setting(BreakList& list, const Setting& setting) {
  const KeptRequest &before = list.pair().before, &now = list.pair().now;
  const std::string was = value_of(before, setting), is = value_of(now, setting);
  if (was == is) return;
  // Equal in other bytes is no flip.
  const uint32_t a = node_of(before, setting), b = node_of(now, setting);
  if (a != Tape::kNone && b != Tape::kNone &&
      same_value({before.tape(), before.body(), a}, {now.tape(), now.body(), b}))
    return;
  Break& made = list.at_node(setting.kind, b == Tape::kNone ? 0 : b);
  made.path =
      setting.inner.empty() ? std::string(setting.member) : fmt::format("{}.{}", setting.member, setting.inner);
  made.place = made.path;
  if (b == Tape::kNone) made.bytes = 0;
  made.position = setting.reach == Reach::kAll ? 0 : now.tokens_of_head();
  made.before = was.empty() ? "(default)" : excerpt(was);
  made.after = is.empty() ? "(default)" : excerpt(is);
}

std::string_view vendor_of(std::string_view model) {
  static constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"claude", "anthropic"}, {"gpt-", "openai"},   {"gemini", "google"},   {"deepseek", "deepseek"},
      {"grok", "xai"},         {"kimi", "moonshot"}, {"qwen", "qwen"},       {"mistral", "mistral"},
      {"glm", "zai"},          {"llama", "meta"},    {"minimax", "minimax"}, {"command", "cohere"},
      {"nova", "amazon"}};
  for (const auto& [part, vendor] : kNames)
    if (model.find(part) != std::string_view::npos) return vendor;
  return model.starts_with("o1") || model.starts_with("o3") || model.starts_with("o4") ? "openai"
                                                                                       : std::string_view();
}

// Without provider, region and vendor in front: "bedrock/us.anthropic.claude-…" → "claude-…".
std::string_view base_model(std::string_view model) {
  if (const size_t slash = model.rfind('/'); slash != std::string_view::npos) model.remove_prefix(slash + 1);
  if (const size_t dot = model.rfind("anthropic."); dot != std::string_view::npos) model.remove_prefix(dot + 10);
  if (const size_t at = model.find('@'); at != std::string_view::npos) model = model.substr(0, at);
  if (const size_t version = model.rfind("-v1:"); version != std::string_view::npos) model = model.substr(0, version);
  return model;
}

// Without the date of a snapshot, which names the same model.
std::string_view without_snapshot(std::string_view model) {
  size_t end = model.size();
  while (end > 0 && (base::is_digit(model[end - 1]) || model[end - 1] == '-')) --end;
  return model.size() - end >= 9 ? model.substr(0, end) : model;
}

uint32_t model_node(const KeptRequest& kept) {
  const uint32_t node = kept.tape().find(kept.body(), 0, "model");
  return node == Tape::kNone ? 0 : node;
}

}  // namespace

std::string provider_of(const KeptRequest& kept) {
  const std::string_view model = kept.request.model;
  if (!kept.meta.provider.empty()) return kept.meta.provider;
  if (const size_t slash = model.find('/'); slash != std::string_view::npos)
    return std::string(model.substr(0, slash));
  if (model.find("anthropic.claude") != std::string_view::npos) return "bedrock";
  return std::string(vendor_of(model));
}

void compare_parameters(BreakList& list) {
  const KeptRequest &before = list.pair().before, &now = list.pair().now;
  const std::string was = provider_of(before), is = provider_of(now);
  const std::string_view old_model = base_model(before.request.model), new_model = base_model(now.request.model);
  const bool other_vendor = vendor_of(old_model) != vendor_of(new_model);
  const bool moved = (!was.empty() && !is.empty() && was != is) || before.request.dialect != now.request.dialect;
  if (moved) {
    Break& made = list.at_node(Kind::kProviderFlip, model_node(now));
    made.place = "provider";
    made.position = 0;
    made.before = was;
    made.after = is;
  }
  const bool explained = moved && other_vendor;
  if (old_model != new_model && without_snapshot(old_model) != without_snapshot(new_model) && !explained &&
      !old_model.empty() && !new_model.empty()) {
    Break& made = list.at_node(Kind::kModelFlip, model_node(now));
    made.position = 0;
    made.before = old_model;
    made.after = new_model;
  }
  if (before.request.dialect == now.request.dialect)
    for (const Setting& setting : kSettings) compare_setting(list, setting);
  const uint32_t key = now.tape().find(now.body(), 0, "prompt_cache_key");
  const std::string old_key = string_member(before.tape(), before.body(), 0, "prompt_cache_key");
  if (key != Tape::kNone && !old_key.empty() && now.tape()[key].type == JsonType::kString &&
      now.text(key) != old_key) {
    Break& made = list.at_node(Kind::kRandomId, key, "another cache key sends the session to another machine");
    made.position = 0;
    made.before = excerpt(old_key);
    made.after = excerpt(now.text(key));
  }
}

}  // namespace payonce::prefix
