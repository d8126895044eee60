// Calls that are no conversation but come from one place of a program: what their user texts could share.
#include <algorithm>
#include <array>

#include "prefix/breakers/breaks.h"
#include "prefix/breakers/json_place.h"
#include "prefix/breakers/pieces.h"

namespace payonce::prefix {
namespace {

constexpr size_t kLongBytes = 1000;       // of a document that ought to stand in front
constexpr size_t kShareAfterBytes = 400;  // equal text behind a slot, so that the slot is worth a word
constexpr double kSameDocumentsShare = 0.75;

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
    for (const Piece& piece : pieces_of(kept.text(block.text_node)))
      out.push_back({piece.hash, block.text_node, piece.begin, piece.end});
  }
  return out;
}

uint64_t bytes_of(const std::vector<Placed>& pieces, size_t from, size_t to) {
  uint64_t out = 0;
  for (size_t i = from; i < to; ++i) out += pieces[i].end - pieces[i].begin;
  return out;
}

// A long run of equal pieces that begins behind a difference.
void late_document(BreakList& list, const std::vector<Placed>& was, const std::vector<Placed>& is) {
  size_t front = 0;
  while (front < was.size() && front < is.size() && was[front].hash == is[front].hash) ++front;
  if (front >= is.size() || front >= was.size()) return;
  for (size_t j = front; j < is.size(); ++j) {
    for (size_t i = front; i < was.size(); ++i) {
      size_t run = 0;
      while (i + run < was.size() && j + run < is.size() && was[i + run].hash == is[j + run].hash) ++run;
      if (run == 0 || bytes_of(is, j, j + run) < kLongBytes) continue;
      const uint64_t changed = bytes_of(is, front, j);
      if (changed == 0 || changed * 2 > bytes_of(is, j, j + run)) return;
      const KeptRequest& now = list.pair().now;
      const bool text = now.tape()[is[j].node].type == llm::JsonType::kString;
      Break& made = list.at_node(Kind::kLateDocument, is[j].node);
      if (text) {
        made.byte_offset = raw_offset(now.body(), now.tape()[is[j].node], is[j].begin);
        made.bytes = raw_offset(now.body(), now.tape()[is[j].node],
                                is[j].node == is[j + run - 1].node ? is[j + run - 1].end : SIZE_MAX) -
                     made.byte_offset;
        made.after = excerpt(std::string_view(now.text(is[j].node)).substr(is[j].begin));
      }
      made.position = now.tokens_before(made.byte_offset);
      return;
    }
  }
}

bool is_pattern(Guess guess) {
  return guess == Guess::kClock || guess == Guess::kId || guess == Guess::kBilling || guess == Guess::kWhitespace;
}

// A text part of both questions that is the same part: documents in another order, or slots in front of equal text.
bool compare_part(BreakList& list, const std::string& was, const std::string& is, uint32_t node) {
  if (was == is) return false;
  if (const auto moved = find_reordered(was, is, kSameDocumentsShare)) {
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
