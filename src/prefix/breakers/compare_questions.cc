// Calls that are no conversation but come from one place of a program: what their user texts could share.
#include <algorithm>
#include <array>

#include "prefix/breakers/breaks.h"
#include "prefix/breakers/json_place.h"
#include "prefix/breakers/pieces.h"

namespace payonce::prefix {
namespace {

constexpr size_t kLongBytes = 1000;       // of a document that ought to stand in front
constexpr size_t kQuestionBytes = 600;    // more in front of it is rather another document
constexpr size_t kShareAfterBytes = 400;  // equal text behind a slot, so that the slot is worth a word
constexpr double kSameDocumentsShare = 0.75;
constexpr uint32_t kQuestionLines = 1;  // beside the documents; more are other documents

// A piece of the text of a message, and where it stands.
struct Placed {
  uint64_t hash;
  uint32_t node;
  uint32_t begin, end;
};

std::vector<Placed> placed_pieces(const KeptRequest& kept, const Unit& unit) {
  std::vector<Placed> out;
  for (uint32_t i = 0; i < unit.blocks; ++i) {
    const Block& block = kept.prompt.blocks[unit.first_block + i];
    if (block.text_node == kNoNode) {
      // An image, a document: one piece.
      out.push_back({block.value.low, block.node, 0, kept.tape()[block.node].size});
      continue;
    }
    for (const TextPiece& piece : pieces_of(kept.text(block.text_node)))
      out.push_back({piece.hash, block.text_node, piece.begin, piece.end});
  }
  return out;
}

uint64_t bytes_of(const std::vector<Placed>& pieces, size_t from, size_t to) {
  uint64_t out = 0;
  for (size_t i = from; i < to; ++i) out += pieces[i].end - pieces[i].begin;
  return out;
}

// A long text that both end with, behind a short one that differs.
void late_document(BreakList& list, const std::vector<Placed>& was, const std::vector<Placed>& is) {
  size_t front = 0, run = 0;
  const size_t shorter = std::min(was.size(), is.size());
  while (front < shorter && was[front].hash == is[front].hash) ++front;
  while (run < shorter - front && was[was.size() - 1 - run].hash == is[is.size() - 1 - run].hash) ++run;
  const size_t at = is.size() - run;
  const uint64_t changed = bytes_of(is, front, at);
  if (run == 0 || changed == 0 || changed > kQuestionBytes || bytes_of(is, at, is.size()) < kLongBytes) return;
  const KeptRequest& now = list.pair().now;
  const Placed &first = is[at], &last = is.back();
  Break& made = list.at_node(Kind::kLateDocument, first.node);
  if (now.tape()[first.node].type == llm::JsonType::kString) {
    const llm::JsonNode& string = now.tape()[first.node];
    made.byte_offset = raw_offset(now.body(), string, first.begin);
    made.bytes = raw_offset(now.body(), string, first.node == last.node ? last.end : SIZE_MAX) - made.byte_offset;
    made.after = excerpt(std::string_view(now.text(first.node)).substr(first.begin));
  }
  made.position = now.tokens_before(made.byte_offset);
}

bool is_pattern(Guess guess) {
  return guess == Guess::kClock || guess == Guess::kId || guess == Guess::kBilling || guess == Guess::kWhitespace;
}

// A text part of both questions that is the same part: documents in another order, or slots in front of equal text.
bool compare_part(BreakList& list, const std::string& was, const std::string& is, uint32_t node) {
  if (was == is) return false;
  if (const auto moved = find_reordered(was, is, {.share = kSameDocumentsShare, .lone_lines = kQuestionLines})) {
    const KeptRequest& now = list.pair().now;
    Break& made = list.at_node(Kind::kChunkOrder, node);
    made.byte_offset = raw_offset(now.body(), now.tape()[node], moved->begin);
    made.bytes = raw_offset(now.body(), now.tape()[node], moved->end) - made.byte_offset;
    made.position = now.tokens_before(made.byte_offset);
    made.after = excerpt(std::string_view(is).substr(moved->begin, moved->end - moved->begin));
    return true;
  }
  const TextChange change = compare_text(was, is);
  if (change.rewritten) return false;
  bool found = false;
  for (size_t i = 0; i < change.slots.size(); ++i) {
    const size_t next = i + 1 < change.slots.size() ? change.slots[i + 1].begin : is.size();
    if (!is_pattern(change.slots[i].guess)) return found;  // behind another question nothing is shared anyway
    if (next - change.slots[i].end < kShareAfterBytes && is.size() - change.slots[i].end < kShareAfterBytes) continue;
    list.slot(change.slots[i], node, Area::kQuestion);
    found = true;
  }
  return found;
}

}  // namespace

void compare_questions(BreakList& list) {
  const KeptRequest &before = list.pair().before, &now = list.pair().now;
  if (before.messages() == 0 || before.messages() != now.messages() || now.messages() > 2) return;
  const Unit &was = before.message(before.messages() - 1), &is = now.message(now.messages() - 1);
  if (was.role != Role::kUser || is.role != Role::kUser || was.value == is.value) return;
  bool found = false;
  if (was.blocks == is.blocks) {
    std::vector<base::Hash128> one, other;
    for (uint32_t i = 0; i < was.blocks; ++i) {
      one.push_back(before.prompt.blocks[was.first_block + i].value);
      other.push_back(now.prompt.blocks[is.first_block + i].value);
    }
    // Parts that only moved: document blocks.
    size_t shared = 0, moved = SIZE_MAX;
    for (size_t i = 0; i < one.size(); ++i) {
      const bool known = std::find(one.begin(), one.end(), other[i]) != one.end();
      shared += known ? 1 : 0;
      if (known && one[i] != other[i]) moved = std::min(moved, i);
    }
    if (shared >= 2 && shared + 1 >= one.size() && moved != SIZE_MAX && one.size() > 1) {
      list.at_node(Kind::kChunkOrder, now.prompt.blocks[is.first_block + moved].node);
      return;
    }
    for (uint32_t i = 0; i < was.blocks; ++i) {
      const Block &a = before.prompt.blocks[was.first_block + i], &b = now.prompt.blocks[is.first_block + i];
      if (a.text_node != kNoNode && b.text_node != kNoNode)
        found = compare_part(list, before.text(a.text_node), now.text(b.text_node), b.text_node) || found;
    }
  }
  if (!found) late_document(list, placed_pieces(before, was), placed_pieces(now, is));
}

}  // namespace payonce::prefix
