#include "prefix/same_request.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "prefix/prompt/unit.h"
#include "prefix/prompt/value_hash.h"

namespace payonce::prefix {
namespace {

using base::Hash128;
using llm::JsonType;
using llm::Request;

// The pieces of a body as they are spelled: bytes that are equal need no reading.
struct Pieces {
  std::vector<std::string_view> tools, messages;
  std::string_view system;  // a member of its own; empty: none
};

std::vector<std::string_view> elements(const Request& request, std::string_view name) {
  std::vector<std::string_view> out;
  const std::string_view text = request.body.view();
  const uint32_t list = request.tape.find(text, 0, name);
  if (list == kNoNode) return out;
  if (request.tape[list].type != JsonType::kArray) return {request.tape.raw(text, list)};
  uint32_t at = list + 1;
  for (uint32_t i = 0; i < request.tape[list].children; ++i, at = request.tape[at].next)
    out.push_back(request.tape.raw(text, at));
  return out;
}

Pieces pieces_of(const Request& request) {
  const bool responses = request.dialect == llm::Dialect::kOpenAiResponses;
  Pieces out{.tools = elements(request, "tools"), .messages = elements(request, responses ? "input" : "messages")};
  const uint32_t system = request.tape.find(request.body.view(), 0, responses ? "instructions" : "system");
  if (system != kNoNode) out.system = request.tape.raw(request.body.view(), system);
  return out;
}

// A message's markers stand in the parts of its content, two levels below it; a list of parts is one level less.
bool same_piece(std::string_view a, std::string_view b) {
  if (a == b) return true;
  const auto tape_a = llm::Tape::parse(a), tape_b = llm::Tape::parse(b);
  if (!tape_a || !tape_b) return false;
  const int markers_to_depth = (*tape_a)[0].type == JsonType::kObject ? 3 : 2;
  return same_value({*tape_a, a, 0}, {*tape_b, b, 0}, markers_to_depth) ||
         same_unit(without_markers(a), without_markers(b));
}

size_t differing(const std::vector<std::string_view>& a, const std::vector<std::string_view>& b) {
  if (a.size() != b.size()) return std::max(a.size(), b.size());
  size_t out = 0;
  for (size_t i = 0; i < a.size(); ++i) out += same_piece(a[i], b[i]) ? 0 : 1;
  return out;
}

// What is left of `a` when those that `b` has byte for byte are taken out, each once.
std::vector<std::string_view> without(std::vector<std::string_view> a, std::vector<std::string_view> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  std::vector<std::string_view> out;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

std::vector<Hash128> values(const std::vector<std::string_view>& pieces, const base::KeyedHash& hash) {
  std::vector<Hash128> out;
  for (const std::string_view piece : pieces)
    if (const auto tape = llm::Tape::parse(piece)) out.push_back(value_hash(hash, {*tape, piece}, true));
  std::sort(out.begin(), out.end());
  return out;
}

bool same_set(const std::vector<std::string_view>& a, const std::vector<std::string_view>& b,
              const base::KeyedHash& hash) {
  return a.size() == b.size() && (a == b || values(without(a, b), hash) == values(without(b, a), hash));
}

// How often each byte stands in the texts; white space joins and parts them and is not counted.
std::array<size_t, 256> letters(const Prompt& prompt, const Allowed& allowed) {
  std::array<size_t, 256> out{};
  for (const Block& block : prompt.blocks) {
    if (block.section == Section::kTools || block.text_node == kNoNode) continue;
    const std::string text = prompt.text(block.text_node);
    if (allowed.stripped && block.section == Section::kSystem && text.starts_with(kBillingLine)) continue;
    for (const char c : text) ++out[static_cast<unsigned char>(c)];
  }
  for (const char space : {' ', '\t', '\r', '\n'}) out[static_cast<unsigned char>(space)] = 0;
  return out;
}

bool is_ours_to_change(std::string_view name, const Allowed& allowed) {
  return name == "tools" || name == "system" || name == "instructions" || name == "messages" || name == "input" ||
         (allowed.cache_key && name == "prompt_cache_key") || (allowed.moved && name == "cache_control");
}

// Members beside the prompt, by name; two of one name keep their order.
std::vector<std::pair<std::string, uint32_t>> others(const Request& request, const Allowed& allowed) {
  std::vector<std::pair<std::string, uint32_t>> out;
  uint32_t at = 1;
  for (uint32_t i = 0; i < request.tape[0].children; ++i, at = request.tape[at + 1].next) {
    std::string name = request.tape.decoded(request.body.view(), at);
    if (!is_ours_to_change(name, allowed)) out.emplace_back(std::move(name), at + 1);
  }
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return out;
}

bool same_others(const Request& a, const Request& b, const Allowed& allowed) {
  const auto of_a = others(a, allowed), of_b = others(b, allowed);
  return std::equal(of_a.begin(), of_a.end(), of_b.begin(), of_b.end(), [&](const auto& left, const auto& right) {
    const std::string_view text_a = a.body.view(), text_b = b.body.view();
    return left.first == right.first && (a.tape.raw(text_a, left.second) == b.tape.raw(text_b, right.second) ||
                                         same_value({a.tape, text_a, left.second}, {b.tape, text_b, right.second}));
  });
}

}  // namespace

base::Status check_same_request(const Prompt& original, std::string_view rewritten, const Allowed& allowed,
                                const base::KeyedHash& hash) {
  const auto differs = [](std::string_view what) {
    return base::fail(base::Code::kInternal, "the rewritten request differs in its " + std::string(what));
  };
  const auto request = llm::parse_request(original.request->dialect, base::Bytes::unowned(rewritten));
  if (!request) return differs("syntax");
  if (!same_others(*original.request, *request, allowed)) return differs("parameters");
  const Pieces was = pieces_of(*original.request), is = pieces_of(*request);
  if (!same_set(was.tools, is.tools, hash)) return differs("tools");
  if (!allowed.moved) {
    if (!allowed.stripped && was.system.empty() != is.system.empty()) return differs("system text");
    if (!allowed.stripped && !was.system.empty() && !same_piece(was.system, is.system)) return differs("system text");
    return differing(was.messages, is.messages) == 0 ? base::Status() : differs("messages");
  }
  const auto prompt = read_prompt(*request, hash);
  if (!prompt) return differs("shape");
  if (letters(original, allowed) != letters(*prompt, allowed)) return differs("text");
  // The message to which the text went, and those that are the system text of OpenAI's dialects.
  const size_t changed = 1 + original.first_of(Section::kMessages) - original.first_of(Section::kSystem);
  return differing(was.messages, is.messages) <= changed ? base::Status() : differs("messages");
}

}  // namespace payonce::prefix
