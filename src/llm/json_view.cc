#include "llm/json_view.h"

#include <charconv>
#include <cmath>
#include <utility>

namespace payonce::llm {

std::optional<JsonView> JsonView::parse(std::string_view text) {
  auto tape = Tape::parse(text);
  if (!tape || tape->nodes().empty() || (*tape)[0].type != JsonType::kObject) return std::nullopt;
  return JsonView(text, *std::move(tape));
}

uint32_t JsonView::member(uint32_t object, std::string_view name) const {
  return is(object, JsonType::kObject) ? tape_.find(text_, object, name) : kNone;
}

uint32_t JsonView::element(uint32_t array, size_t index) const {
  if (!is(array, JsonType::kArray) || index >= tape_[array].children) return kNone;
  uint32_t node = array + 1;
  for (size_t i = 0; i < index; ++i) node = tape_[node].next;
  return node;
}

uint32_t JsonView::at(std::span<const std::string> path) const {
  uint32_t node = 0;
  for (const std::string& step : path) {
    size_t index = 0;
    const auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), index);
    const bool number = error == std::errc() && end == step.data() + step.size();
    node = number && is(node, JsonType::kArray) ? element(node, index) : member(node, step);
  }
  return path.empty() ? kNone : node;
}

std::string JsonView::string(uint32_t node) const {
  return is(node, JsonType::kString) ? tape_.decoded(text_, node) : std::string();
}

std::optional<double> JsonView::number(uint32_t node) const {
  if (!is(node, JsonType::kNumber)) return std::nullopt;
  const std::string_view raw = tape_.raw(text_, node);
  double value = 0;
  const auto [end, error] = std::from_chars(raw.data(), raw.data() + raw.size(), value);
  if (error != std::errc() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::vector<float> JsonView::numbers(uint32_t node) const {
  std::vector<float> out;
  if (!is(node, JsonType::kArray)) return out;
  out.reserve(tape_[node].children);
  uint32_t at = node + 1;
  for (uint32_t i = 0; i < tape_[node].children; ++i, at = tape_[at].next) {
    const auto value = number(at);
    if (!value || !std::isfinite(static_cast<float>(*value))) return {};
    out.push_back(static_cast<float>(*value));
  }
  return out;
}

bool JsonView::has_member_anywhere(std::string_view name) const {
  for (uint32_t node = 0; node < tape_.nodes().size(); ++node)
    if (member(node, name) != kNone) return true;
  return false;
}

bool JsonView::only_members(uint32_t object, std::span<const std::string_view> names) const {
  if (!is(object, JsonType::kObject)) return false;
  uint32_t at = object + 1;
  for (uint32_t i = 0; i < tape_[object].children; ++i, at = tape_[at + 1].next) {
    const std::string key = string(at);
    bool known = false;
    for (const std::string_view name : names) known = known || name == key;
    if (!known) return false;
  }
  return true;
}

}  // namespace payonce::llm
