// The endpoints that Payonce understands. Everything else passes through.
#pragma once

#include <optional>
#include <string_view>

namespace payonce::llm {

enum class Dialect {
  kOpenAiChat,            // POST /v1/chat/completions
  kOpenAiResponses,       // POST /v1/responses
  kOpenAiEmbeddings,      // POST /v1/embeddings
  kOpenAiCompletions,     // POST /v1/completions
  kAnthropicMessages,     // POST /v1/messages
  kAnthropicCountTokens,  // POST /v1/messages/count_tokens
  kGemini,                // POST /v1beta/models/MODEL:generateContent, and :streamGenerateContent?alt=sse
  kOther,                 // passes through untouched (GET /v1/models and all the rest)
};

std::string_view dialect_name(Dialect dialect);  // "openai_chat", …, "other": metrics label, key kind part
bool is_anthropic(Dialect dialect);
// By method and path. A query is passed over, but for Gemini: there it may hold a credential (key=) or another
// framing, so only the forms above are known.
Dialect classify(std::string_view method, std::string_view target);

// What Gemini writes into the path instead of the body.
struct GeminiTarget {
  std::string_view model;
  bool stream = false;
};
// Empty when `target` is none of the two forms above (v1 and v1alpha, too).
std::optional<GeminiTarget> gemini_target(std::string_view target);

}  // namespace payonce::llm
