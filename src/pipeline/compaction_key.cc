#include "pipeline/compaction_key.h"

#include <string>
#include <string_view>
#include <utility>

#include "llm/json_edit.h"
#include "prefix/compaction/compaction_call.h"
#include "prefix/volatile_text.h"

namespace payonce::pipeline {
namespace {

constexpr size_t kMaxInstruction_bytes = 16u << 10;  // a longer text may hold the conversation

// Only the segments that hold a time of day, an epoch or a random id, and of these all digits.
std::string without_volatile(const std::string& text, const base::KeyedHash& hash) {
  std::string out;
  for (const prefix::Segment& segment : prefix::segments_of(text, hash)) {
    const std::string_view bytes = std::string_view(text).substr(segment.begin, segment.size);
    out += segment.looks_volatile ? prefix::masked(bytes) : std::string(bytes);
  }
  return out;
}

bool is_envelope(std::string_view member) { return member == "metadata" || member == "client_metadata"; }

}  // namespace

std::optional<llm::Request> compaction_form(const llm::Request& request, const base::KeyedHash& hash) {
  const auto prompt = prefix::read_prompt(request, hash);
  const auto call = prompt ? prefix::compaction_of(*prompt) : std::nullopt;
  if (!call) return std::nullopt;
  llm::JsonEdit edit(request.body.view(), request.tape);
  edit.remove_members(0, is_envelope);
  for (uint32_t i = 0; i < prompt->units.size(); ++i) {
    const prefix::Unit& unit = prompt->units[i];
    const bool instructs = unit.section == prefix::Section::kSystem || (i == call->instruction && !call->rendered);
    if (!instructs) continue;
    for (uint32_t b = unit.first_block; b < unit.first_block + unit.blocks; ++b) {
      const uint32_t node = prompt->blocks[b].text_node;
      if (node == prefix::kNoNode) continue;
      const std::string text = prompt->text(node);
      if (text.size() > kMaxInstruction_bytes || prefix::is_transcript(text)) continue;
      if (std::string masked = without_volatile(text, hash); masked != text)
        edit.replace(node, llm::json_string(masked));
    }
  }
  auto form = llm::parse_request(request.dialect, base::Bytes(edit.apply()));
  return form ? std::optional(*std::move(form)) : std::nullopt;
}

}  // namespace payonce::pipeline
