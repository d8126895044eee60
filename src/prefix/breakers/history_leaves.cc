#include "prefix/breakers/history_leaves.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/ascii.h"
#include "prefix/breakers/json_place.h"

namespace payonce::prefix {
namespace {

using llm::JsonType;
using llm::Tape;
using What = Leaf::What;

constexpr size_t kMaxSlotBytes = 160;  // larger changes of a past text are edits, whatever they look like

bool is_any(std::string_view text, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

std::string without_think(const std::string& text) {
  const size_t begin = text.find("<think>"), end = text.find("</think>");
  if (begin == std::string::npos || end == std::string::npos || end < begin) return text;
  std::string out = text.substr(0, begin) + text.substr(end + 8);
  out.erase(0, out.find_first_not_of(" \r\n\t"));
  return out;
}

class MessageLeaves {
 public:
  MessageLeaves(BreakList& list, const Unit& was, const Unit& is)
      : list_(list), a_(list.pair().before), b_(list.pair().now), was_(was), is_(is) {}

  void run() {
    for (const Leaf& leaf : differing_leaves({a_.tape(), a_.body(), was_.node}, {b_.tape(), b_.body(), is_.node}))
      one(leaf);
  }

 private:
  void one(const Leaf& leaf) {
    const bool removed = leaf.what == What::kMissing;
    const KeptRequest& of = removed ? a_ : b_;
    const uint32_t node = removed ? leaf.a_node : leaf.b_node;
    const std::string type = part_type(of, removed ? was_ : is_, node);
    if (is_any(type, {"thinking", "redacted_thinking", "reasoning"}) ||
        is_any(leaf.name, {"reasoning_content", "reasoning", "reasoning_details", "thinking", "encrypted_content"}))
      return once(Kind::kReasoningStripped, leaf, "reasoning");
    if (is_any(type, {"image", "image_url", "input_image"})) return once(Kind::kImageBytes, leaf, "image");
    switch (leaf.what) {
      case What::kText: return text(leaf);
      case What::kKeyOrder: return key_order(leaf.b_node);
      case What::kSpelling: return once(Kind::kHistoryRespelled, leaf, "spelling");
      case What::kArrayOrder:
        return once(is_content_part(leaf.b_node) ? Kind::kChunkOrder : Kind::kHistoryEdited, leaf, "order");
      case What::kMissing:
      case What::kAdded:
        // Members that say nothing, as serialisers write or leave them out.
        if (says_nothing(of, node) || is_any(leaf.name, {"status", "id", "index"}))
          return once(Kind::kHistoryRespelled, leaf, "spelling");
        return once(Kind::kHistoryEdited, leaf, "edit");
      case What::kOther: return once(Kind::kHistoryEdited, leaf, "edit");
    }
  }

  void text(const Leaf& leaf) {
    const std::string was = a_.text(leaf.a_node), is = b_.text(leaf.b_node);
    if (is_any(leaf.name, {"id", "tool_use_id", "tool_call_id", "call_id"})) return id(leaf, was, is);
    if (without_think(was) == without_think(is)) return once(Kind::kReasoningStripped, leaf, "reasoning");
    switch (compare_json_texts(was, is)) {
      case JsonText::kKeyOrder: return key_order(leaf.b_node);
      case JsonText::kSpelling: return once(Kind::kHistoryRespelled, leaf, "spelling");
      case JsonText::kNotEqual: break;
    }
    const TextChange change = compare_text(was, is);
    const bool small =
        !change.rewritten && std::all_of(change.slots.begin(), change.slots.end(), [](const Slot& slot) {
          return slot.guess == Guess::kWhitespace ||
                 (slot.end - slot.begin <= kMaxSlotBytes && slot.guess != Guess::kOther &&
                  slot.guess != Guess::kNumber && slot.guess != Guess::kDate && !slot.after.empty() &&
                  !slot.before.empty());
        });
    if (small) {
      for (const Slot& slot : change.slots) list_.slot(slot, leaf.b_node, Area::kHistory);
      return;
    }
    // Documents of a past question in another order, or an edit; beside it, places that are volatile by nature.
    BreakList trial(list_.pair());
    if (trial.texts(was, is, leaf.b_node, Area::kHistory)) {
      std::vector<Break> found = trial.take();
      if (!found.empty() && found.front().kind == Kind::kChunkOrder && found.size() == 1) {
        list_.at_node(Kind::kChunkOrder, leaf.b_node) = found.front();
        return;
      }
    }
    Break* made = once(Kind::kHistoryEdited, leaf, "edit", nullptr);
    if (made == nullptr || change.slots.empty()) return;
    const Slot& first = change.slots.front();
    made->byte_offset = raw_offset(b_.body(), b_.tape()[leaf.b_node], first.begin);
    made->bytes = raw_offset(b_.body(), b_.tape()[leaf.b_node], std::max(first.end, first.begin)) - made->byte_offset;
    made->position = b_.tokens_before(made->byte_offset);
    made->before = first.before;
    made->after = first.after;
  }

  void id(const Leaf& leaf, const std::string& was, const std::string& is) {
    Break* made = once(Kind::kRandomId, leaf, "id", nullptr);
    if (made == nullptr) return;
    made->before = excerpt(was);
    made->after = excerpt(is);
    made->detail = "ids of past calls are made anew";
  }

  // Two ways to mend one place: write keys in a fixed order, or replay what was sent.
  void key_order(uint32_t node) {
    const std::string path = path_to(b_.tape(), b_.body(), node);
    const std::string place = place_of(b_, path);
    const bool data = path.find(".input") != std::string::npos || path.find(".arguments") != std::string::npos ||
                      path.find(".output") != std::string::npos;
    if (data && !list_.has(Kind::kJsonKeyOrder, place)) list_.at_node(Kind::kJsonKeyOrder, node);
    if (!list_.has(Kind::kHistoryRespelled, "history"))
      list_.at_node(Kind::kHistoryRespelled, node).place = "history";
  }

  void once(Kind kind, const Leaf& leaf, const char* why) { (void)once(kind, leaf, why, nullptr); }
  Break* once(Kind kind, const Leaf& leaf, const char* /*why*/, std::nullptr_t) {
    if (list_.has(kind, "history")) return nullptr;
    Break& made = list_.at_node(kind, leaf.b_node);
    made.place = "history";
    if (leaf.what == What::kMissing) made.bytes = 0;
    return &made;
  }

  bool says_nothing(const KeptRequest& of, uint32_t node) const {
    const std::string_view raw = of.raw(node);
    return raw == "null" || raw == "[]" || raw == "{}" || raw == "\"\"" || raw == "false";
  }

  // "type" of the part of the message's content that holds `node`, or of the message itself.
  std::string part_type(const KeptRequest& of, const Unit& unit, uint32_t node) const {
    const uint32_t content = of.tape().find(of.body(), unit.node, "content");
    if (content == Tape::kNone || of.tape()[content].type != JsonType::kArray) return {};
    uint32_t at = content + 1;
    for (uint32_t i = 0; i < of.tape()[content].children; ++i, at = of.tape()[at].next)
      if (node >= at && node < of.tape()[at].next) return nested_type(of, at, node);
    return {};
  }
  // Of the innermost part: an image inside a tool's result is an image.
  std::string nested_type(const KeptRequest& of, uint32_t part, uint32_t node) const {
    const uint32_t inner =
        of.tape()[part].type == JsonType::kObject ? of.tape().find(of.body(), part, "content") : Tape::kNone;
    if (inner != Tape::kNone && of.tape()[inner].type == JsonType::kArray) {
      uint32_t at = inner + 1;
      for (uint32_t i = 0; i < of.tape()[inner].children; ++i, at = of.tape()[at].next)
        if (node >= at && node < of.tape()[at].next) return string_member(of.tape(), of.body(), at, "type");
    }
    return string_member(of.tape(), of.body(), part, "type");
  }
  bool is_content_part(uint32_t node) const {
    const uint32_t content = b_.tape().find(b_.body(), is_.node, "content");
    if (content == Tape::kNone || b_.tape()[content].type != JsonType::kArray) return false;
    uint32_t at = content + 1;
    for (uint32_t i = 0; i < b_.tape()[content].children; ++i, at = b_.tape()[at].next)
      if (at == node) return true;
    return false;
  }

  BreakList& list_;
  const KeptRequest &a_, &b_;
  const Unit &was_, &is_;
};

}  // namespace

void message_leaves(BreakList& list, const Unit& was, const Unit& is) { MessageLeaves(list, was, is).run(); }

bool is_summary(std::string_view text) {
  const std::string head = base::lowered(text.substr(0, 600));
  for (const std::string_view word : {"summar", "compact", "previous conversation", "conversation so far",
                                      "continued from", "earlier conversation", "recap", "condensed"})
    if (head.find(word) != std::string::npos) return true;
  return false;
}

bool is_type(const KeptRequest& kept, uint32_t node, std::string_view type) {
  return string_member(kept.tape(), kept.body(), node, "type") == type;
}

}  // namespace payonce::prefix
