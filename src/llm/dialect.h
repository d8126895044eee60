// The endpoints that Payonce understands. Everything else passes through.
#pragma once

#include <string_view>

namespace payonce::llm {

enum class Dialect {
  kOpenAiChat,            // POST /v1/chat/completions
  kOpenAiResponses,       // POST /v1/responses
  kOpenAiEmbeddings,      // POST /v1/embeddings
  kOpenAiCompletions,     // POST /v1/completions
  kAnthropicMessages,     // POST /v1/messages
  kAnthropicCountTokens,  // POST /v1/messages/count_tokens
  kOther,                 // passes through untouched (GET /v1/models and all the rest)
};

std::string_view dialect_name(Dialect dialect);  // "openai_chat", …, "other": metrics label, key kind part
bool is_anthropic(Dialect dialect);
// By method and path (no query).
Dialect classify(std::string_view method, std::string_view path);

}  // namespace payonce::llm
