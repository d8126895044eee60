#include "llm/dialect.h"

#include <array>
#include <utility>

namespace payonce::llm {
namespace {

constexpr std::array<std::string_view, 8> kNames = {"openai_chat",
                                                    "openai_responses",
                                                    "openai_embeddings",
                                                    "openai_completions",
                                                    "anthropic_messages",
                                                    "anthropic_count_tokens",
                                                    "gemini",
                                                    "other"};
constexpr std::array<std::pair<std::string_view, Dialect>, 6> kPaths = {{
    {"/chat/completions", Dialect::kOpenAiChat},
    {"/responses", Dialect::kOpenAiResponses},
    {"/embeddings", Dialect::kOpenAiEmbeddings},
    {"/completions", Dialect::kOpenAiCompletions},
    {"/messages", Dialect::kAnthropicMessages},
    {"/messages/count_tokens", Dialect::kAnthropicCountTokens},
}};

}  // namespace

std::string_view dialect_name(Dialect dialect) { return kNames[static_cast<size_t>(dialect)]; }

bool is_anthropic(Dialect dialect) {
  return dialect == Dialect::kAnthropicMessages || dialect == Dialect::kAnthropicCountTokens;
}

std::optional<GeminiTarget> gemini_target(std::string_view target) {
  constexpr std::string_view kVersions[] = {"/v1beta/models/", "/v1/models/", "/v1alpha/models/"};
  constexpr std::string_view kWhole = ":generateContent", kStream = ":streamGenerateContent?alt=sse";
  for (const std::string_view version : kVersions) {
    if (!target.starts_with(version)) continue;
    target.remove_prefix(version.size());
    const bool stream = target.ends_with(kStream);
    if (!stream && !target.ends_with(kWhole)) return std::nullopt;
    target.remove_suffix(stream ? kStream.size() : kWhole.size());
    if (target.empty() || target.find_first_of("/:?%") != std::string_view::npos) return std::nullopt;
    return GeminiTarget{.model = target, .stream = stream};
  }
  return std::nullopt;
}

Dialect classify(std::string_view method, std::string_view target) {
  constexpr std::string_view kVersion = "/v1";
  if (method != "POST" || !target.starts_with(kVersion)) return Dialect::kOther;
  if (gemini_target(target)) return Dialect::kGemini;
  const std::string_view path = target.substr(kVersion.size(), target.find('?') - kVersion.size());
  for (const auto& [known, dialect] : kPaths)
    if (path == known) return dialect;
  return Dialect::kOther;
}

}  // namespace payonce::llm
