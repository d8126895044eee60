#include "prefix/breakers/breaks.h"

#include <algorithm>
#include <utility>

#include "prefix/breakers/entities.h"
#include "prefix/breakers/json_place.h"
#include "prefix/breakers/pieces.h"

namespace payonce::prefix {
namespace {

constexpr size_t kMinReorderBytes = 120;
constexpr double kSameTextShare = 0.7;  // of a text, in pieces, so that it counts as the same in another order

Guess guess_of_text(const std::string& text) {
  const std::string_view head = std::string_view(text).substr(0, 600);
  for (const Entity& entity : entities_in(head)) {
    if (entity.type == EntityType::kTime && !entity.date_only) return Guess::kClock;
    if (entity.type == EntityType::kEmail) return Guess::kUser;
  }
  return guess_by_label(head.substr(0, 160)) == Guess::kUser ? Guess::kUser : Guess::kOther;
}

}  // namespace

std::string place_of(const KeptRequest& kept, const std::string& path) {
  const size_t open = path.find('['), close = path.find(']');
  if (open == std::string::npos || close == std::string::npos) return path;
  const std::string_view list = std::string_view(path).substr(0, open);
  if (list == "system") return path;
  if (list == "messages" || list == "input") {
    const size_t index = std::strtoul(path.c_str() + open + 1, nullptr, 10);
    for (uint32_t i = 0; i < kept.first_message; ++i)
      if (kept.prompt.units[i].section == Section::kSystem && kept.prompt.units[i].index == index) return path;
  }
  // Inner indexes count, too: the same cause in another tool call of a turn is the same cause.
  std::string out;
  for (size_t at = 0; at < path.size(); ++at) {
    out += path[at];
    if (path[at] != '[' || at + 1 >= path.size() || path[at + 1] < '0' || path[at + 1] > '9') continue;
    out += '*';
    while (at + 1 < path.size() && path[at + 1] != ']') ++at;
  }
  return out;
}

Break& BreakList::at_node(Kind kind, uint32_t node, std::string detail) {
  const KeptRequest& now = pair_.now;
  Break made;
  made.kind = kind;
  made.path = path_to(now.tape(), now.body(), node);
  made.place = place_of(now, made.path);
  made.byte_offset = now.tape()[node].begin;
  made.bytes = now.tape()[node].size;
  made.position = now.tokens_before(made.byte_offset);
  made.detail = std::move(detail);
  breaks_.push_back(std::move(made));
  return breaks_.back();
}

bool BreakList::has(Kind kind, std::string_view place) const {
  return std::any_of(breaks_.begin(), breaks_.end(),
                     [&](const Break& known) { return known.kind == kind && known.place == place; });
}

void BreakList::slot(const Slot& slot, uint32_t node, Area area) {
  const KeptRequest& now = pair_.now;
  const llm::JsonNode& string = now.tape()[node];
  const bool billing = slot.guess == Guess::kBilling, space = slot.guess == Guess::kWhitespace;
  Break& made = at_node(space     ? Kind::kWhitespaceDrift
                        : billing ? Kind::kBillingHeader
                                  : Kind::kWorkspaceState,
                        node);
  made.is_slot = !space && !billing;
  made.guess = slot.guess;
  if (area == Area::kTools && slot.guess == Guess::kOther) made.kind = Kind::kToolSet;
  made.byte_offset = raw_offset(now.body(), string, slot.begin);
  made.bytes = raw_offset(now.body(), string, slot.end) - made.byte_offset;
  made.position = now.tokens_before(made.byte_offset);
  if (made.is_slot) made.place += "|" + slot.label;
  made.before = slot.before;
  made.after = slot.after;
}

bool BreakList::texts(const std::string& a, const std::string& b, uint32_t node, Area area) {
  std::string_view was = a;
  std::optional<Reordered> reordered;
  if (a.size() >= kMinReorderBytes && b.size() >= kMinReorderBytes)
    reordered = find_reordered(a, b, {.share = kSameTextShare});
  if (reordered) {
    Break& made = at_node(Kind::kChunkOrder, node);
    made.byte_offset = raw_offset(pair_.now.body(), pair_.now.tape()[node], reordered->begin);
    made.bytes = raw_offset(pair_.now.body(), pair_.now.tape()[node], reordered->end) - made.byte_offset;
    made.position = pair_.now.tokens_before(made.byte_offset);
    made.after = excerpt(std::string_view(b).substr(reordered->begin, reordered->end - reordered->begin));
    was = reordered->aligned;
  }
  const TextChange change = compare_text(was, b);
  if (change.rewritten && !reordered) return false;
  for (const Slot& place : change.slots) slot(place, node, area);
  return true;
}

void BreakList::lone_text(const std::string& text, uint32_t node, bool is_new) {
  Break& made =
      at_node(Kind::kWorkspaceState, node, is_new ? "a block that was not there before" : "a block is gone");
  made.is_slot = true;
  made.guess = guess_of_text(text);
  made.place += "|block";
  (is_new ? made.after : made.before) = excerpt(text);
  if (!is_new) made.bytes = 0;
}

}  // namespace payonce::prefix
