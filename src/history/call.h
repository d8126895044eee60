// One request to a model as some system wrote it down, whatever that system was. Threads: values.
// Views point into the files of the `Log` that holds the call, or into its arena, and live as long as it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "llm/dialect.h"
#include "llm/response.h"

namespace payonce::history {

// How a file was written. docs/logs.md has a section for each.
enum class Format : uint8_t {
  kRows,      // {timestamp, latency_ms, path, session, request, response} a line; bare request bodies
  kLiteLlm,   // LiteLLM_SpendLogs, CSV or JSON
  kHelicone,  // CSV or JSONL
  kLangfuse,  // observations, JSON or JSONL
  kBatch,     // OpenAI and Anthropic batch input or output files
  kClaudeCode,
  kCodex,
  kGeminiCli,
  kOpenCode,
  kOtel,  // OTLP JSON with GenAI attributes
};

// A piece of content in a transcript that keeps messages instead of bodies.
struct Piece {
  std::string_view role;  // "user", "assistant", …
  std::string_view raw;   // JSON of the content block, or the string that stood for one
  int64_t at_ms = 0;
};

// What came before this call, where the log has no body: pieces [begin, end) of Log::conversations[conversation].
struct Heard {
  size_t conversation = SIZE_MAX;  // SIZE_MAX: not known
  size_t begin = 0;
  size_t end = 0;
};

struct Call {
  Format format = Format::kRows;
  uint32_t file = 0;         // index into Log::files
  uint64_t line = 0;         // from 1; of its first line
  std::string_view id;       // the provider's or the log's own; empty: none
  int64_t at_ms = 0;         // when it was sent, Unix time; 0: unknown
  int64_t latency_ms = -1;   // to the last byte of the answer; -1: unknown
  int64_t first_ms = -1;     // to its first byte, in a transcript to its first whole block; -1: unknown
  std::string_view session;  // the client's conversation; empty: unknown
  std::string_view user;     // who asked: whose answers it may share; empty: unknown
  std::string_view model;
  std::string_view provider;  // "anthropic", "openai", "bedrock", …, as the log spells it; empty: unknown
  llm::Dialect dialect = llm::Dialect::kOther;
  std::string_view request;   // raw JSON of the body; empty: the log has none
  std::string_view response;  // raw JSON, or events of a stream; empty: none
  // The request was put together of messages that the log keeps: tools and parameters may be missing.
  bool request_is_partial = false;
  int status = 200;  // of the answer
  // As billed, in four classes, whoever includes cached tokens in what he calls input. usage.known: the log told.
  llm::Usage usage;
  bool output_is_floor = false;  // the log cuts the count of output tokens: at least so many
  bool batch = false;            // through a batch API, at its price
  bool from_cache = false;       // the log says that its own cache answered: nothing was billed
  double billed_usd = -1;        // that the log names; -1: none
  bool compacted = false;        // the first after the client summarised its history
  Heard heard;
};

}  // namespace payonce::history
