#include "prefix/same_request.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "prefix/prompt/value_hash.h"

namespace payonce::prefix {
namespace {

using base::Hash128;

bool before(const Hash128& a, const Hash128& b) { return a.low != b.low ? a.low < b.low : a.high < b.high; }

std::vector<Hash128> values(const Prompt& prompt, Section section) {
  std::vector<Hash128> out;
  for (const Unit& unit : prompt.units)
    if (unit.section == section) out.push_back(unit.value);
  if (section == Section::kTools) std::sort(out.begin(), out.end(), before);
  return out;
}

// How often each byte stands in the texts; a line feed pair that joins two texts is not counted, nor any white space.
std::array<size_t, 256> letters(const Prompt& prompt) {
  std::array<size_t, 256> out{};
  for (const Block& block : prompt.blocks) {
    if (block.section == Section::kTools || block.text_node == kNoNode) continue;
    for (const char c : prompt.text(block.text_node)) ++out[static_cast<unsigned char>(c)];
  }
  for (const char space : {' ', '\t', '\r', '\n'}) out[static_cast<unsigned char>(space)] = 0;
  return out;
}

bool is_ours_to_change(std::string_view name, const Allowed& allowed) {
  return name == "tools" || name == "system" || name == "instructions" || name == "messages" || name == "input" ||
         (allowed.cache_key && name == "prompt_cache_key") || (allowed.moved && name == "cache_control");
}

// Members beside the prompt, in any order.
std::vector<Hash128> others(const llm::Request& request, const Allowed& allowed, const base::KeyedHash& hash) {
  std::vector<Hash128> out;
  const std::string_view text = request.body.view();
  uint32_t at = 1;
  for (uint32_t i = 0; i < request.tape[0].children; ++i, at = request.tape[at + 1].next) {
    const std::string name = request.tape.decoded(text, at);
    if (is_ours_to_change(name, allowed)) continue;
    const Hash128 value = value_hash(hash, {request.tape, text, at + 1});
    out.push_back(hash.parts<2>({name, base::bytes_of(value)}));
  }
  std::sort(out.begin(), out.end(), before);
  return out;
}

}  // namespace

base::Status check_same_request(const Prompt& original, std::string_view rewritten, const Allowed& allowed,
                                const base::KeyedHash& hash) {
  const auto differs = [](std::string_view what) {
    return base::fail(base::Code::kInternal, "the rewritten request differs in its " + std::string(what));
  };
  auto request = llm::parse_request(original.request->dialect, base::Bytes(std::string(rewritten)));
  if (!request) return differs("syntax");
  const auto prompt = read_prompt(*request, hash);
  if (!prompt) return differs("shape");
  if (others(*original.request, allowed, hash) != others(*request, allowed, hash)) return differs("parameters");
  if (values(original, Section::kTools) != values(*prompt, Section::kTools)) return differs("tools");
  if (allowed.moved) return letters(original) == letters(*prompt) ? base::Status() : differs("text");
  if (!allowed.stripped && values(original, Section::kSystem) != values(*prompt, Section::kSystem))
    return differs("system text");
  if (values(original, Section::kMessages) != values(*prompt, Section::kMessages)) return differs("messages");
  return {};
}

}  // namespace payonce::prefix
