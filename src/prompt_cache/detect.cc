// Which row of the table an upstream follows: by host, then by model.
#include <array>
#include <charconv>
#include <utility>

#include "base/assert.h"
#include "prompt_cache/rules.h"

namespace payonce::prompt_cache {
namespace {

// "https://user@api.openai.com:443/v1" → "api.openai.com".
std::string_view host_of(std::string_view url) {
  if (const size_t scheme = url.find("://"); scheme != std::string_view::npos) url.remove_prefix(scheme + 3);
  url = url.substr(0, url.find_first_of("/?#"));
  if (const size_t at = url.rfind('@'); at != std::string_view::npos) url.remove_prefix(at + 1);
  return url.substr(0, url.rfind(':'));
}

// `host` is `name` or a name under it: "eu.api.openai.com" is under "api.openai.com".
bool is_under(std::string_view host, std::string_view name) {
  if (host.size() < name.size()) return false;
  const size_t before = host.size() - name.size();
  return matches(name, host.substr(before)) && (before == 0 || host[before - 1] == '.');
}

// The number after "gpt-": 5.6 → {5, 6}; {0, 0} for other models.
std::pair<int, int> gpt_version(std::string_view model) {
  model = own_name(model);
  if (!matches("gpt-*", model)) return {0, 0};
  const char* const end = model.data() + model.size();
  int major = 0, minor = 0;
  const auto [dot, error] = std::from_chars(model.data() + 4, end, major);
  if (error == std::errc() && dot != end && *dot == '.') std::from_chars(dot + 1, end, minor);
  return {major, minor};
}

bool is_openai(std::string_view model) {
  model = own_name(model);
  if (matches("gpt-oss*", model)) return false;  // open weights: anybody may serve them
  return gpt_version(model).first > 0 || matches("chatgpt*", model) || matches("codex*", model) ||
         matches("o1*", model) || matches("o3*", model) || matches("o4*", model);
}

bool is_claude(std::string_view model) { return matches("*claude*", model); }

std::string_view openai_row(std::string_view model, bool azure) {
  const bool new_rules = gpt_version(model) >= std::pair{5, 6};
  if (azure) return new_rules ? "azure_openai_gpt56plus" : "azure_openai";
  return new_rules ? "openai_gpt56plus" : "openai_older";
}

// The maker's row by the model's name alone; empty when several serve such models.
std::string_view row_by_model(std::string_view model, Wire wire) {
  if (is_claude(model)) return wire == Wire::kAnthropic ? "anthropic" : "";
  if (wire == Wire::kAnthropic) return "";
  if (is_openai(model)) return openai_row(model, false);
  if (matches("gemini-*", own_name(model))) return "gemini";
  if (matches("grok-*", own_name(model))) return "xai";
  return "";
}

// OpenRouter names models "vendor/model" and passes markers on.
std::string_view row_on_openrouter(std::string_view model) {
  if (matches("anthropic/*", model)) return "anthropic";
  if (matches("openai/*", model) && is_openai(model)) return openai_row(model, false);
  constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kVendors = {{{"google/gemini*", "gemini"},
                                                                                      {"deepseek/*", "deepseek"},
                                                                                      {"x-ai/*", "xai"},
                                                                                      {"moonshotai/*", "moonshot"},
                                                                                      {"qwen/*", "qwen_implicit"},
                                                                                      {"z-ai/*", "zai"}}};
  for (const auto& [pattern, row] : kVendors)
    if (matches(pattern, model)) return row;
  return "openrouter";
}

std::string_view row_of(const Providers& providers, std::string_view host, std::string_view model, Wire wire) {
  const std::string_view unknown = wire == Wire::kAnthropic ? "unknown_anthropic" : "unknown";
  if (is_under(host, "openrouter.ai")) return row_on_openrouter(model);
  if (matches("bedrock*.amazonaws.com", host)) {
    if (is_claude(model)) return "bedrock_claude";
    return matches("*nova*", model) ? "bedrock_nova" : unknown;
  }
  if (matches("*aiplatform.googleapis.com", host)) return is_claude(model) ? "vertex_claude" : "gemini";
  if (is_under(host, "openai.azure.com") || is_under(host, "services.ai.azure.com"))
    return is_claude(model) ? "anthropic" : is_openai(model) ? openai_row(model, true) : unknown;
  if (is_under(host, "api.openai.com")) return openai_row(model, false);
  if ((is_under(host, "api.minimax.io") || is_under(host, "api.minimaxi.com")) && wire == Wire::kAnthropic)
    return "minimax_explicit";
  for (const Provider& row : providers.all())
    for (const std::string& name : row.hosts)
      if (is_under(host, name)) return row.id;
  const std::string_view maker = row_by_model(model, wire);
  return maker.empty() ? unknown : maker;
}

}  // namespace

const Provider* Providers::detect(std::string_view base_url, std::string_view model, Wire wire) const {
  const Provider* row = find(row_of(*this, host_of(base_url), model, wire));
  PAYONCE_ASSERT(row != nullptr);
  return row;
}

}  // namespace payonce::prompt_cache
