#include "llm/dialect.h"

#include <array>
#include <utility>

namespace payonce::llm {
namespace {

constexpr std::array<std::string_view, 7> kNames = {"openai_chat",
                                                    "openai_responses",
                                                    "openai_embeddings",
                                                    "openai_completions",
                                                    "anthropic_messages",
                                                    "anthropic_count_tokens",
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

Dialect classify(std::string_view method, std::string_view path) {
  constexpr std::string_view kVersion = "/v1";
  if (method != "POST" || !path.starts_with(kVersion)) return Dialect::kOther;
  path.remove_prefix(kVersion.size());
  for (const auto& [known, dialect] : kPaths)
    if (path == known) return dialect;
  return Dialect::kOther;
}

}  // namespace payonce::llm
