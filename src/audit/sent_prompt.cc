#include "audit/sent_prompt.h"

#include <algorithm>
#include <boost/json.hpp>

#include "llm/answer_text.h"
#include "prefix/prompt/prompt.h"
#include "prefix/prompt/value_hash.h"

namespace payonce::audit {
namespace {

using base::Hash128;
using llm::JsonType;

// A value as the provider reads it: members in their order, without the blanks between them and without markers.
void append_read(const llm::Request& request, uint32_t node, bool without_markers, std::string& out) {
  const llm::Tape& tape = request.tape;
  const std::string_view text = request.body.view();
  const llm::JsonNode& at = tape[node];
  if (at.type != JsonType::kObject && at.type != JsonType::kArray) {
    out += tape.raw(text, node);
    return;
  }
  const bool object = at.type == JsonType::kObject;
  out += object ? '{' : '[';
  uint32_t child = node + 1;
  for (uint32_t i = 0; i < at.children; ++i) {
    const uint32_t value = object ? child + 1 : child;
    if (!object || !without_markers || !prefix::is_marker_name(tape.decoded(text, child))) {
      if (object) out.append(tape.raw(text, child)).append(":");
      append_read(request, value, false, out);
      out += ',';
    }
    child = tape[value].next;
  }
  out += object ? '}' : ']';
}

prompt_cache::Level level_of(prefix::Section section) {
  switch (section) {
    case prefix::Section::kTools: return prompt_cache::Level::kTools;
    case prefix::Section::kSystem: return prompt_cache::Level::kSystem;
    case prefix::Section::kMessages: break;
  }
  return prompt_cache::Level::kMessages;
}

prompt_cache::Ttl ttl_of(prefix::Marker marker) {
  switch (marker) {
    case prefix::Marker::kShort: return prompt_cache::Ttl::kShort;
    case prefix::Marker::kLong: return prompt_cache::Ttl::kLong;
    case prefix::Marker::kNone: break;
  }
  return prompt_cache::Ttl::kNone;
}

// Of the parameters that the provider names, "reasoning.effort" by all of "reasoning"; what is no parameter of a
// request ("tools", "images") stands in the blocks. The cache key separates by itself (routing_key).
Hash128 digest_of(const prefix::Prompt& prompt, const std::vector<std::string>& names, const base::KeyedHash& hash) {
  std::string all;
  for (const std::string& name : names) {
    const std::string member = name.substr(0, name.find('.'));
    if (member == "model" || member == "prompt_cache_key") continue;
    if (const Hash128 value = prompt.parameter(member); value != Hash128{})
      all.append(member).append(bytes_of(value));
  }
  return all.empty() ? Hash128{} : hash(all);
}

}  // namespace

SentPrompt read_sent(const llm::Request& request, const prompt_cache::Provider& provider,
                     const base::KeyedHash& hash) {
  SentPrompt out;
  const auto prompt = prefix::read_prompt(request, hash);
  if (!prompt) return out;
  std::string text;
  for (const prefix::Block& block : prompt->blocks) {
    prompt_cache::SimBlock made{.hash = block.value, .tokens = block.tokens, .level = level_of(block.section)};
    if (block.text_node == prefix::kNoNode) {
      text.clear();
      append_read(request, block.node, true, text);
      made.hash = hash.parts<2>({bytes_of(block.value), text});
    }
    made.mark = ttl_of(block.marker);
    made.markable = block.markable;
    made.message_end = block.ends_message;
    out.blocks.push_back(made);
  }
  out.estimated_tokens = prompt->tokens();
  out.invalidates_all = digest_of(*prompt, provider.invalidates.all, hash);
  out.invalidates_system = digest_of(*prompt, provider.invalidates.system_and_messages, hash);
  out.invalidates_messages = digest_of(*prompt, provider.invalidates.messages, hash);
  out.automatic =
      provider.automatic == prompt_cache::Automatic::kImplicit ||
      (provider.automatic == prompt_cache::Automatic::kOnRequest && prompt->automatic != prefix::Marker::kNone);
  out.automatic_ttl = ttl_of(prompt->automatic);
  if (!provider.routing.field.empty()) {
    const uint32_t node = request.tape.find(request.body.view(), 0, provider.routing.field);
    if (node != llm::Tape::kNone && request.tape[node].type == JsonType::kString)
      out.routing_key = request.tape.decoded(request.body.view(), node);
  }
  return out;
}

prompt_cache::SimRequest sim_request(const SentPrompt& prompt) {
  prompt_cache::SimRequest out;
  out.routing_key = prompt.routing_key;
  out.blocks = prompt.blocks;
  out.invalidates_all = prompt.invalidates_all;
  out.invalidates_system = prompt.invalidates_system;
  out.invalidates_messages = prompt.invalidates_messages;
  out.automatic = prompt.automatic;
  out.automatic_ttl = prompt.automatic_ttl;
  return out;
}

bool is_stream(std::string_view response) {
  return response.starts_with("data:") || response.starts_with("event:") || response.starts_with(":");
}

std::vector<prompt_cache::SimBlock> answer_blocks(llm::Dialect dialect, std::string_view response, int64_t tokens,
                                                  const base::KeyedHash& hash) {
  namespace json = boost::json;
  if (dialect != llm::Dialect::kOpenAiChat && dialect != llm::Dialect::kAnthropicMessages) return {};
  const auto answer =
      llm::answer_text(dialect, is_stream(response) ? llm::Form::kStream : llm::Form::kJson, response);
  if (!answer || answer->calls_tools) return {};
  // Read as the next prompt would be, so that it hashes as it will there.
  const json::array messages{json::object{{"role", "assistant"}, {"content", answer->text}}};
  auto request = llm::parse_request(dialect, base::Bytes(json::serialize(json::object{{"messages", messages}})));
  if (!request) return {};
  const auto prompt = prefix::read_prompt(*request, hash);
  if (!prompt || prompt->blocks.size() != 1) return {};
  prompt_cache::SimBlock block{.hash = prompt->blocks.front().value, .tokens = static_cast<uint32_t>(tokens)};
  block.message_end = true;
  return {block};
}

void scale_to(SentPrompt& prompt, int64_t tokens) {
  if (prompt.estimated_tokens == 0 || tokens <= 0) return;
  // Sums are scaled, not blocks, so that no rounding adds up, and an equal front gets equal numbers.
  const double ratio = static_cast<double>(tokens) / static_cast<double>(prompt.estimated_tokens);
  uint64_t through = 0, scaled = 0;
  for (prompt_cache::SimBlock& block : prompt.blocks) {
    through += block.tokens;
    const auto now = static_cast<uint64_t>(static_cast<double>(through) * ratio + 0.5);
    block.tokens = static_cast<uint32_t>(now - scaled);
    scaled = now;
  }
  prompt.estimated_tokens = scaled;
}

}  // namespace payonce::audit
