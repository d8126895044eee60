#include "lint/static_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>

#include "base/ascii.h"
#include "prefix/breakers/entities.h"
#include "prefix/breakers/json_place.h"
#include "prefix/breakers/labels.h"
#include "prefix/breakers/slots.h"
#include "prefix/prompt/prompt.h"

namespace payonce::lint {
namespace {

using prefix::EntityType;
using prefix::Finding;
using prefix::Guess;
using prefix::Kind;

struct Place {
  Kind kind;
  size_t begin, end;
};

std::optional<Kind> kind_of_label(Guess guess) {
  switch (guess) {
    case Guess::kClock: return Kind::kClock;
    case Guess::kId: return Kind::kRandomId;
    case Guess::kUser: return Kind::kUserIdentity;
    case Guess::kWorkspace: return Kind::kWorkspaceState;
    default: return std::nullopt;
  }
}

// "current_time", "user.email", "now()", "requestId" → words.
std::string words_of(std::string_view name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (base::is_upper(c) && i > 0 && base::is_lower(name[i - 1])) out += ' ';
    out += base::is_alphanumeric(c) ? base::lower(c) : ' ';
  }
  return out;
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 80 && std::all_of(text.begin(), text.end(), [](char c) {
    return base::is_alphanumeric(c) || std::string_view("_.-|() '\"%:").find(c) != std::string_view::npos;
  });
}

// {{ name }}, {name}, ${name}, %(name)s, <%= name %>
void placeholders(std::string_view text, std::vector<Place>& out) {
  static constexpr std::pair<std::string_view, std::string_view> kBrackets[] = {
      {"{{", "}}"}, {"${", "}"}, {"<%=", "%>"}, {"%(", ")"}, {"{", "}"}};
  for (size_t at = 0; at < text.size(); ++at)
    for (const auto& [open, close] : kBrackets) {
      if (!text.substr(at).starts_with(open)) continue;
      const size_t end = text.find(close, at + open.size());
      if (end == std::string_view::npos) break;
      const std::string_view name = text.substr(at + open.size(), end - at - open.size());
      if (!is_name(name)) break;
      const std::string words = words_of(name);
      const bool id = words.ends_with("id") || words.ends_with("id ");
      auto kind = kind_of_label(prefix::guess_by_label(words));
      if (id && kind != Kind::kUserIdentity) kind = Kind::kRandomId;
      if (kind) out.push_back({*kind, at, end + close.size()});
      at = end + close.size() - 1;
      break;
    }
}

void literals(std::string_view text, std::vector<Place>& out) {
  if (const size_t at = text.find(prefix::kBillingLine); at != std::string_view::npos)
    out.push_back({Kind::kBillingHeader, at, std::min(text.find('\n', at), text.size())});
  for (const prefix::Entity& entity : prefix::entities_in(text)) {
    const Guess label = prefix::guess_by_label(prefix::line_before(text, entity.begin));
    switch (entity.type) {
      case EntityType::kTime:
        if (label == Guess::kClock) out.push_back({Kind::kClock, entity.begin, entity.end});
        break;
      case EntityType::kEmail:
        if (label == Guess::kUser) out.push_back({Kind::kUserIdentity, entity.begin, entity.end});
        break;
      case EntityType::kId:
        if (label == Guess::kId) out.push_back({Kind::kRandomId, entity.begin, entity.end});
        if (label == Guess::kUser) out.push_back({Kind::kUserIdentity, entity.begin, entity.end});
        break;
      case EntityType::kPath: break;  // many prompts name paths
    }
  }
}

std::vector<Place> places_of(std::string_view text) {
  std::vector<Place> out;
  placeholders(text, out);
  literals(text, out);
  std::stable_sort(out.begin(), out.end(), [](const Place& a, const Place& b) { return a.begin < b.begin; });
  std::vector<Place> kept;
  for (const Place& place : out)
    if (kept.empty() || place.begin >= kept.back().end) kept.push_back(place);
  return kept;
}

}  // namespace

std::vector<Finding> static_findings(const llm::Request& request) {
  static const base::KeyedHash hash("lint");
  std::vector<Finding> out;
  const auto prompt = prefix::read_prompt(request, hash);
  if (!prompt) return out;
  const auto look = [&](uint32_t node) {
    const std::string text = prompt->text(node);
    for (const Place& place : places_of(text)) {
      const size_t begin = prefix::raw_offset(request.body.view(), request.tape[node], place.begin);
      out.push_back({.kind = place.kind,
                     .path = prefix::path_to(request.tape, request.body.view(), node),
                     .byte_offset = begin,
                     .bytes = prefix::raw_offset(request.body.view(), request.tape[node], place.end) - begin,
                     .occurrences = 1,
                     .after = prefix::excerpt(std::string_view(text).substr(place.begin, place.end - place.begin)),
                     .detail = "seen in one request alone: it will differ in the next"});
    }
  };
  for (const prefix::Block& block : prompt->blocks) {
    if (block.section == prefix::Section::kSystem && block.text_node != prefix::kNoNode) look(block.text_node);
    if (block.section != prefix::Section::kTools) continue;
    uint32_t tool = request.tape.find(request.body.view(), block.node, "function");
    if (tool == llm::Tape::kNone) tool = block.node;
    if (request.tape[tool].type != llm::JsonType::kObject) continue;
    const uint32_t description = request.tape.find(request.body.view(), tool, "description");
    if (description != llm::Tape::kNone && request.tape[description].type == llm::JsonType::kString)
      look(description);
  }
  return out;
}

std::vector<Finding> template_findings(std::string_view text) {
  std::vector<Finding> out;
  for (const Place& place : places_of(text)) {
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(place.begin), '\n');
    out.push_back({.kind = place.kind,
                   .path = fmt::format("line {}", line),
                   .byte_offset = place.begin,
                   .bytes = place.end - place.begin,
                   .occurrences = 1,
                   .after = prefix::excerpt(text.substr(place.begin, place.end - place.begin)),
                   .detail = "in a template: it will differ in every request"});
  }
  return out;
}

}  // namespace payonce::lint
