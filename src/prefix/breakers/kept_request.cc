#include "prefix/breakers/kept_request.h"

#include <algorithm>
#include <utility>

#include "prefix/breakers/json_place.h"

namespace payonce::prefix {
namespace {

using llm::JsonType;
using llm::Tape;

// The client's own name of the conversation, where its request carries one. Anthropic's metadata.user_id names a
// user; Claude Code puts its session into it.
std::string session_of_body(const llm::Request& request) {
  const std::string_view text = request.body.view();
  const auto inside = [&](std::string_view object, std::string_view name) {
    const uint32_t node = request.tape.find(text, 0, object);
    return node == Tape::kNone ? std::string() : string_member(request.tape, text, node, name);
  };
  std::string user = inside("metadata", "user_id");
  if (user.find("session") != std::string::npos) return user;
  for (const std::string_view name : {"session_id", "conversation_id", "thread_id"})
    if (std::string found = inside("metadata", name); !found.empty()) return found;
  if (std::string found = string_member(request.tape, text, 0, "conversation"); !found.empty()) return found;
  return {};
}

// Texts of all string members that a model reads, below `node`.
void collect_text(const KeptRequest& kept, uint32_t node, std::string& out) {
  const Tape& tape = kept.tape();
  if (tape[node].type == JsonType::kString) {
    out += kept.text(node);
    out += '\n';
  } else if (tape[node].type == JsonType::kArray) {
    uint32_t at = node + 1;
    for (uint32_t i = 0; i < tape[node].children; ++i, at = tape[at].next) collect_text(kept, at, out);
  } else if (tape[node].type == JsonType::kObject) {
    for (const std::string_view name : {"content", "output", "text", "input", "arguments", "thinking"})
      if (const uint32_t found = tape.find(kept.body(), node, name); found != Tape::kNone)
        collect_text(kept, found, out);
  }
}

}  // namespace

AnswerShape shape_of_answer(llm::Dialect dialect, const std::string& answer) {
  AnswerShape out;
  if (answer.empty()) return out;
  const auto tape = Tape::parse(answer);
  if (!tape || (*tape)[0].type != JsonType::kObject) return out;
  const auto any_part = [&](std::string_view list_name, std::string_view type) {
    const uint32_t list = tape->find(answer, 0, list_name);
    if (list == Tape::kNone || (*tape)[list].type != JsonType::kArray) return false;
    uint32_t at = list + 1;
    for (uint32_t i = 0; i < (*tape)[list].children; ++i, at = (*tape)[at].next)
      if (string_member(*tape, answer, at, "type") == type) return true;
    return false;
  };
  if (dialect == llm::Dialect::kAnthropicMessages) out.thinking_parts = any_part("content", "thinking");
  if (dialect == llm::Dialect::kOpenAiResponses) out.reasoning_items = any_part("output", "reasoning");
  if (dialect == llm::Dialect::kOpenAiChat) {
    const uint32_t choices = tape->find(answer, 0, "choices");
    if (choices == Tape::kNone || (*tape)[choices].type != JsonType::kArray || (*tape)[choices].children == 0 ||
        (*tape)[choices + 1].type != JsonType::kObject)
      return out;
    const uint32_t message = tape->find(answer, choices + 1, "message");
    if (message != Tape::kNone)
      out.inline_think = string_member(*tape, answer, message, "content").starts_with("<think>");
  }
  return out;
}

uint32_t KeptRequest::tokens_before(size_t byte) const {
  // Blocks come in the order of the prefix, which is not that of the body.
  uint32_t best = 0;
  bool inside_any = false;
  for (const Block& block : prompt.blocks) {
    const llm::JsonNode& node = tape()[block.node];
    if (byte >= node.begin && byte < node.begin + node.size) {
      const uint32_t before = block.tokens_through - block.tokens;
      return before + static_cast<uint32_t>(uint64_t{block.tokens} * (byte - node.begin) / std::max(1u, node.size));
    }
    const llm::JsonNode& unit = tape()[prompt.units[block.unit].node];
    if (byte >= unit.begin && byte < unit.begin + unit.size && (!inside_any || node.begin <= byte)) {
      best = node.begin <= byte ? block.tokens_through : block.tokens_through - block.tokens;
      inside_any = true;
    }
  }
  return best;
}

uint32_t KeptRequest::tokens_of_head() const {
  const uint32_t end = prompt.first_of(Section::kMessages);
  return end == 0 ? 0 : prompt.blocks[end - 1].tokens_through;
}

base::Hash128 KeptRequest::head_chain() const {
  const uint32_t end = prompt.first_of(Section::kMessages);
  return end == 0 ? base::Hash128() : prompt.blocks[end - 1].chain;
}

uint32_t KeptRequest::tokens_through_unit(uint32_t unit) const {
  const Unit& of = prompt.units[unit];
  return prompt.blocks[of.first_block + of.blocks - 1].tokens_through;
}

size_t KeptRequest::size_bytes() const {
  return sizeof *this + request.body.size() + tape().nodes().size() * sizeof(llm::JsonNode) +
         prompt.blocks.size() * sizeof(Block) + prompt.units.size() * (sizeof(Unit) + sizeof(base::Hash128));
}

Kept keep_request(llm::Request request, const CallMeta& meta, size_t index, const base::KeyedHash& hash) {
  auto kept = std::make_shared<KeptRequest>();
  kept->request = std::move(request);
  auto prompt = read_prompt(kept->request, hash);
  if (!prompt || prompt->blocks.empty()) return nullptr;
  kept->prompt = std::move(*prompt);
  kept->answer = shape_of_answer(kept->request.dialect, meta.answer);
  kept->meta = {meta.unix_ms, meta.latency_ms, meta.first_byte_ms, meta.session, meta.provider, meta.usage, {}};
  kept->index = index;
  kept->session = !meta.session.empty() ? meta.session : session_of_body(kept->request);
  base::Hash128 chain;
  for (const Unit& unit : kept->prompt.units) {
    if (unit.section != Section::kMessages) {
      ++kept->first_message;
      continue;
    }
    chain = hash.parts<2>({base::bytes_of(chain), base::bytes_of(unit.value)});
    kept->history.push_back(chain);
  }
  return kept;
}

std::string text_of_message(const KeptRequest& kept, const Unit& unit) {
  std::string out;
  collect_text(kept, unit.node, out);
  return out;
}

}  // namespace payonce::prefix
