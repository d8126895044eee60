#include "mcp/message.h"

#include <array>
#include <boost/json/serialize.hpp>

namespace payonce::mcp {

using llm::JsonType;

std::optional<MessageLine> MessageLine::parse(std::string_view line) {
  auto tape = llm::Tape::parse(line);
  if (!tape) return std::nullopt;
  MessageLine out(line, std::move(*tape));
  if (out.is(0, JsonType::kObject)) {
    out.messages_.push_back(out.read(0));
  } else if (out.is(0, JsonType::kArray)) {
    out.is_batch_ = true;
    out.each_element(0, [&](uint32_t node) { out.messages_.push_back(out.read(node)); });
  } else {
    return std::nullopt;
  }
  return out;
}

Message MessageLine::read(uint32_t node) const {
  Message out{.node = node};
  enum { kId, kMethod, kParams, kResult, kError, kNames };
  static constexpr std::array<std::string_view, kNames> kKnown = {"id", "method", "params", "result", "error"};
  std::array<uint32_t, kNames> found;
  found.fill(kNone);
  bool twice = false;
  each_member(node, [&](uint32_t key, uint32_t value) {
    const std::string name = text(key);
    for (size_t i = 0; i < kNames; ++i) {
      if (name != kKnown[i]) continue;
      twice = twice || found[i] != kNone;
      found[i] = value;
    }
  });
  if (twice) return out;  // which of the two counts is each reader's own choice
  if (is(found[kId], JsonType::kString)) out.id = "s" + text(found[kId]);
  if (is(found[kId], JsonType::kNumber)) out.id = "n" + std::string(raw(found[kId]));
  const bool has_method = is(found[kMethod], JsonType::kString);
  const bool has_answer = (found[kResult] != kNone) != (found[kError] != kNone);
  if (has_method) out.method = text(found[kMethod]);
  if (has_method && found[kResult] == kNone && found[kError] == kNone)
    out.kind = found[kId] == kNone ? MessageKind::kNotification
               : out.id.empty()    ? MessageKind::kUnclear
                                   : MessageKind::kRequest;
  else if (!has_method && has_answer && !out.id.empty())
    out.kind = MessageKind::kResponse;
  return out;
}

uint32_t MessageLine::member(uint32_t object, std::string_view name) const {
  return is(object, JsonType::kObject) ? tape_.find(line_, object, name) : kNone;
}

std::string MessageLine::text(uint32_t node) const {
  return is(node, JsonType::kString) ? tape_.decoded(line_, node) : std::string();
}

std::string_view MessageLine::raw(uint32_t node) const {
  return node == kNone ? std::string_view() : tape_.raw(line_, node);
}

std::string json_string(std::string_view text) { return boost::json::serialize(boost::json::string_view(text)); }

}  // namespace payonce::mcp
