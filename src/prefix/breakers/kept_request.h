// A request that is kept so that later ones can be compared with it, and the place of a byte in its prefix.
// Threads: const once made; shared.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "llm/request.h"
#include "llm/response.h"
#include "prefix/prompt/prompt.h"

namespace payonce::prefix {

// What the detector is told beside the body. Everything may be unknown.
struct CallMeta {
  int64_t unix_ms = 0;         // start of the call; 0: unknown, then nothing is said about timing
  int64_t latency_ms = -1;     // to the end of the answer
  int64_t first_byte_ms = -1;  // to its first byte
  std::string session;         // a hint: the client's conversation
  std::string provider;        // upstream, or provider and account
  llm::Usage usage;            // as billed
  std::string answer;          // the body of a complete JSON answer; what of it is needed is read at once
};

// Which reasoning an answer held, so that its loss in the next request is seen.
struct AnswerShape {
  bool thinking_parts = false;   // Anthropic: content of type thinking
  bool reasoning_items = false;  // Responses: output of type reasoning
  bool inline_think = false;     // chat: "<think>…" in the content
};
AnswerShape shape_of_answer(llm::Dialect dialect, const std::string& answer);

struct KeptRequest {
  llm::Request request;
  Prompt prompt;  // of `request`
  CallMeta meta;  // without the answer
  AnswerShape answer;
  size_t index = 0;                    // of the request in the log
  std::vector<base::Hash128> history;  // [i]: message units 0 … i, apart from tools and system
  uint32_t first_message = 0;          // index of the first message unit in prompt.units
  std::string session;                 // hint of the meta or the body, "" if neither

  uint32_t messages() const { return static_cast<uint32_t>(prompt.units.size()) - first_message; }
  const Unit& message(uint32_t index_of_message) const { return prompt.units[first_message + index_of_message]; }
  std::string_view body() const { return request.body.view(); }
  const llm::Tape& tape() const { return request.tape; }
  std::string_view raw(uint32_t node) const { return request.tape.raw(request.body.view(), node); }
  std::string text(uint32_t node) const { return request.tape.decoded(request.body.view(), node); }
  // Tokens of the prefix in front of a byte of the body, estimated.
  uint32_t tokens_before(size_t byte) const;
  uint32_t tokens_of_head() const;   // tools and system
  base::Hash128 head_chain() const;  // of them; {} if there are none
  uint32_t tokens_through_unit(uint32_t unit) const;
  size_t size_bytes() const;  // of memory, roughly
};
using Kept = std::shared_ptr<const KeptRequest>;

// Null where the body is no prompt.
Kept keep_request(llm::Request request, const CallMeta& meta, size_t index, const base::KeyedHash& hash);

// All text of a message: its content, or its parts' texts and results, joined by newlines.
std::string text_of_message(const KeptRequest& kept, const Unit& unit);

}  // namespace payonce::prefix
