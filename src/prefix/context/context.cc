#include "prefix/context/context.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/ascii.h"
#include "prefix/context/documents.h"
#include "prefix/context/words.h"
#include "prefix/prompt/value_hash.h"

namespace payonce::prefix {
namespace {

using base::Hash128;
using llm::JsonType;

constexpr uint32_t kMinRepeat_bytes = 200;  // below, a reference saves nothing
constexpr uint32_t kMinApart_bytes = 1024;  // documents in a part of their own
constexpr uint32_t kMinFirst_bytes = 2048;  // documents that go before the words in front of them
constexpr uint32_t kFirstTimesHead = 4;     // and are so many times as long

class Planner {
 public:
  Planner(const ContextAsked& asked, const base::KeyedHash& hash, DocumentOrders& orders)
      : asked_(asked), prompt_(asked.prompt), hash_(hash), orders_(orders), texts_(asked.prompt) {}

  ContextPlan run() {
    for (uint32_t i = 0; i < prompt_.units.size(); ++i) unit(i);
    if (layouts_.empty()) return std::move(out_);
    std::string body = write_layouts(prompt_, texts_, layouts_);
    if (const auto same = check_layouts(prompt_, texts_, layouts_, body, hash_); !same) {
      out_ = {};
      out_.fault = same.error().message;
      return std::move(out_);
    }
    out_.body = std::move(body);
    return std::move(out_);
  }

 private:
  // What is known of one document: in a text, or a part of its own.
  struct Found {
    Hash128 value;
    uint32_t bytes = 0;
    std::string name;
    Span span;  // a part: all of its block, begin = end = 0
  };
  struct Placed {
    std::vector<uint32_t> sequence;  // of the found, as they will stand
    std::vector<bool> repeats;       // by found
    bool first = false;
    bool reordered = false;
    bool changed() const {
      return first || reordered || std::find(repeats.begin(), repeats.end(), true) != repeats.end();
    }
  };

  void unit(uint32_t index) {
    const Unit& unit = prompt_.units[index];
    if (unit.section == Section::kTools ||
        (unit.role != Role::kUser && unit.role != Role::kSystem && unit.section != Section::kSystem))
      return;
    std::vector<std::optional<DocumentRun>> runs(unit.blocks);
    std::vector<bool> is_document(unit.blocks);
    for (uint32_t i = 0; i < unit.blocks; ++i) {
      const uint32_t block = unit.first_block + i;
      if (prompt_.blocks[block].text_node == kNoNode) {
        is_document[i] = is_document_part(prompt_.blocks[block].node);
        continue;
      }
      if (!is_plain_text(prompt_, block)) continue;
      runs[i] = documents_of(texts_.of(block));
      is_document[i] = runs[i] && is_one_document(texts_.of(block), *runs[i]) && unit.blocks > 1;
    }
    UnitLayout layout{.unit = index, .parts = {}};
    const bool changed = std::find(is_document.begin(), is_document.end(), true) != is_document.end()
                             ? parts(unit, is_document, layout)
                             : texts(unit, runs, layout);
    if (changed) layouts_.push_back(std::move(layout));
    for (auto& [value, span] : news_) seen_.emplace(value, span);
    news_.clear();
  }

  // ---- documents in a text -----------------------------------------------------------------------

  bool texts(const Unit& unit, const std::vector<std::optional<DocumentRun>>& runs, UnitLayout& layout) {
    bool changed = false;
    for (uint32_t i = 0; i < unit.blocks; ++i) {
      const uint32_t block = unit.first_block + i;
      const uint32_t marker_of = prompt_.blocks[block].marker != Marker::kNone ? block : kNoNode;
      if (runs[i] && text(unit, block, *runs[i], layout)) {
        changed = true;
        layout.parts.back().marker_of = marker_of;
      } else {
        layout.parts.push_back({.whole = block, .pieces = {}, .marker_of = marker_of});
      }
    }
    return changed;
  }

  bool text(const Unit& unit, uint32_t block, const DocumentRun& run, UnitLayout& layout) {
    const std::string_view text = texts_.of(block);
    std::vector<Found> found;
    for (const Document& document : run.documents) {
      const Span span{block, document.begin, document.begin + document.size};
      found.push_back({hash_.parts<2>({"document", texts_.bytes(span)}), document.size, document.name, span});
    }
    const bool has_head = text.substr(0, run.begin).find_first_not_of(" \t\r\n") != std::string_view::npos;
    const uint32_t bytes = run.end - run.begin;
    Placed placed = place(unit, found,
                          {.may_change_order = run.may_change_order,
                           .head = has_head ? hash_(text.substr(0, run.begin)) : Hash128(),
                           .may_go_first = bytes >= kMinFirst_bytes && bytes >= run.begin * kFirstTimesHead});
    const auto size = static_cast<uint32_t>(text.size());
    const uint32_t tail = static_cast<uint32_t>(std::min<size_t>(text.find_first_not_of(" \t\r\n", run.end), size));
    const bool apart = asked_.order && asked_.has_marks && bytes >= kMinApart_bytes &&
                       prompt_.blocks[block].tokens_through >= asked_.min_tokens && may_have_parts(prompt_, unit) &&
                       (tail < size || placed.first);
    if (!placed.changed() && !apart) return false;
    count(placed);
    out_.apart += apart ? 1 : 0;

    PartLayout part;
    const auto add = [&](uint32_t begin, uint32_t end) {
      if (begin < end) part.pieces.push_back({.of = {block, begin, end}, .ours = {}, .repeats = {}});
    };
    const auto say = [&](std::string words) {
      part.pieces.push_back({.of = {}, .ours = std::move(words), .repeats = {}});
    };
    if (!placed.first) add(0, run.begin);
    documents(run, found, placed, part);
    add(run.end, tail);
    const std::string rank = placed.reordered ? ranking_of(found, placed) : std::string();
    if (apart && (tail < size || placed.first || !rank.empty())) {
      layout.parts.push_back(std::exchange(part, {}));
      if (!rank.empty()) say(rank + (tail < size || placed.first ? "\n\n" : ""));
    } else {
      if (run.end == tail && (!rank.empty() || placed.first)) say("\n\n");
      if (!rank.empty()) say(rank + (tail < size || placed.first ? "\n\n" : ""));
    }
    if (placed.first) add(0, run.begin);
    add(tail, size);
    layout.parts.push_back(std::move(part));
    return true;
  }

  // What stands between two documents stays where it is, between the ones that stand there now.
  void documents(const DocumentRun& run, const std::vector<Found>& found, const Placed& placed,
                 PartLayout& part) const {
    const uint32_t block = found.front().span.block;
    uint32_t at = run.begin;
    for (size_t i = 0; i < placed.sequence.size(); ++i) {
      const Document& here = run.documents[i];
      if (at < here.begin) part.pieces.push_back({.of = {block, at, here.begin}, .ours = {}, .repeats = {}});
      at = here.begin + here.size;
      const Found& document = found[placed.sequence[i]];
      LayoutPiece piece{.of = document.span, .ours = {}, .repeats = {}};
      if (placed.repeats[placed.sequence[i]]) {
        piece.repeats = seen_.at(document.value);
        piece.ours = reference_to(std::string_view(prompt_text(document.span)));
      }
      part.pieces.push_back(std::move(piece));
    }
    if (at < run.end) part.pieces.push_back({.of = {block, at, run.end}, .ours = {}, .repeats = {}});
  }

  std::string_view prompt_text(const Span& span) const { return texts_.bytes(span); }

  // ---- documents that are parts ------------------------------------------------------------------

  bool is_document_part(uint32_t node) const {
    const std::string type = string_at(node, "type");
    if (type != "document" && type != "search_result") return false;
    // An answer with citations names documents by their number.
    const uint32_t citations = member(node, "citations");
    if (citations == kNoNode || prompt_.request->tape[citations].type != JsonType::kObject) return true;
    const uint32_t enabled = member(citations, "enabled");
    return enabled == kNoNode || prompt_.request->tape[enabled].type == JsonType::kFalse;
  }

  static bool is_one_document(std::string_view text, const DocumentRun& run) {
    const Document& only = run.documents.front();
    return run.documents.size() == 1 && text.substr(0, only.begin).find_first_not_of(" \t\r\n") == text.npos &&
           text.substr(only.begin + only.size).find_first_not_of(" \t\r\n") == text.npos;
  }

  bool parts(const Unit& unit, const std::vector<bool>& is_document, UnitLayout& layout) {
    const auto first =
        static_cast<uint32_t>(std::find(is_document.begin(), is_document.end(), true) - is_document.begin());
    uint32_t last = first;
    while (last < unit.blocks && is_document[last]) ++last;
    if (std::find(is_document.begin() + last, is_document.end(), true) != is_document.end()) return false;
    std::vector<Found> found;
    bool marked_inside = false, words_in_front = first > 0;
    std::string head;
    for (uint32_t i = 0; i < first; ++i) {
      words_in_front = words_in_front && is_plain_text(prompt_, unit.first_block + i);
      head += texts_.of(unit.first_block + i);
    }
    uint32_t bytes = 0;
    for (uint32_t i = first; i < last; ++i) {
      const uint32_t block = unit.first_block + i;
      const uint32_t node = prompt_.blocks[block].node, size = prompt_.request->tape[node].size;
      found.push_back({value_hash(hash_, {prompt_.request->tape, prompt_.request->body.view(), node}, true), size,
                       string_at(node, "title"), Span{block, 0, 0}});
      marked_inside = marked_inside || (i + 1 < last && prompt_.blocks[block].marker != Marker::kNone);
      bytes += size;
    }
    const Placed placed =
        place(unit, found,
              {.may_change_order = found.size() > 1 && !marked_inside,
               .head = words_in_front ? hash_(head) : Hash128(),
               .may_go_first = !marked_inside && bytes >= kMinFirst_bytes && bytes >= head.size() * kFirstTimesHead});
    if (!placed.changed()) return false;
    count(placed);
    const auto whole = [&](uint32_t i) {
      const uint32_t block = unit.first_block + i;
      const bool marked = prompt_.blocks[block].marker != Marker::kNone;
      layout.parts.push_back({.whole = block, .pieces = {}, .marker_of = marked ? block : kNoNode});
    };
    if (!placed.first)
      for (uint32_t i = 0; i < first; ++i) whole(i);
    for (size_t i = 0; i < placed.sequence.size(); ++i) {
      const uint32_t here = unit.first_block + first + static_cast<uint32_t>(i);
      layout.parts.push_back(document_part(found[placed.sequence[i]], placed.repeats[placed.sequence[i]]));
      if (prompt_.blocks[here].marker != Marker::kNone) layout.parts.back().marker_of = here;
    }
    if (placed.reordered)
      layout.parts.push_back({.pieces = {{.of = {}, .ours = ranking_of(found, placed), .repeats = {}}}});
    if (placed.first)
      for (uint32_t i = 0; i < first; ++i) whole(i);
    for (uint32_t i = last; i < unit.blocks; ++i) whole(i);
    return true;
  }

  PartLayout document_part(const Found& document, bool repeats) const {
    const uint32_t block = document.span.block;
    if (!repeats) return {.whole = block, .pieces = {}};
    const bool is_text = prompt_.blocks[block].text_node != kNoNode;
    std::string words = is_text ? reference_to(texts_.of(block)) : reference_to_title(document.name);
    return {.pieces = {{.of = {}, .ours = std::move(words), .repeats = {}}},
            .left_out = block,
            .repeats = seen_.at(document.value).block};
  }

  // ---- both --------------------------------------------------------------------------------------

  struct May {
    bool may_change_order = false;
    Hash128 head;
    bool may_go_first = false;
  };
  Placed place(const Unit& unit, const std::vector<Found>& found, May may) {
    Placed out{.sequence = {}, .repeats = std::vector<bool>(found.size())};
    std::vector<uint32_t> fresh;
    std::unordered_set<Hash128, base::Hash128Hasher> here;
    Hash128 text = hash_.parts<2>({"layout", base::bytes_of(may.head)});
    for (uint32_t i = 0; i < found.size(); ++i) {
      if (!here.insert(found[i].value).second) may.may_change_order = false;
      news_.emplace_back(found[i].value, found[i].span);
      out.repeats[i] = asked_.drop_repeats && found[i].bytes >= kMinRepeat_bytes && seen_.contains(found[i].value);
      if (out.repeats[i]) continue;
      fresh.push_back(i);
      text = hash_.parts<2>({base::bytes_of(text), base::bytes_of(found[i].value)});
    }
    for (uint32_t i = 0; i < found.size(); ++i) out.sequence.push_back(i);
    if (!asked_.order || fresh.empty()) return out;
    std::vector<DocumentOrders::Item> items;
    for (const uint32_t i : fresh) items.push_back({found[i].value, found[i].bytes});
    const Hash128 site = site_of(unit.section);
    const DocumentOrders::Layout layout =
        orders_.layout({.site = site,
                        .text = hash_.parts<2>({base::bytes_of(site), base::bytes_of(text)}),
                        .items = items,
                        .may_change_order = may.may_change_order,
                        .head = may.head,
                        .may_go_first = may.may_go_first});
    out.first = layout.documents_first;
    if (std::is_sorted(layout.order.begin(), layout.order.end())) return out;
    out.reordered = true;
    out.sequence.clear();
    for (const uint16_t i : layout.order) out.sequence.push_back(fresh[i]);
    for (uint32_t i = 0; i < found.size(); ++i)
      if (out.repeats[i]) out.sequence.push_back(i);
    return out;
  }

  void count(const Placed& placed) {
    out_.ordered += placed.reordered ? 1 : 0;
    out_.first += placed.first ? 1 : 0;
    out_.repeats += static_cast<uint32_t>(std::count(placed.repeats.begin(), placed.repeats.end(), true));
  }

  static std::string ranking_of(const std::vector<Found>& found, const Placed& placed) {
    std::vector<std::string> names;
    std::vector<uint32_t> places(found.size());
    for (const Found& document : found) names.push_back(document.name);
    for (uint32_t i = 0; i < placed.sequence.size(); ++i) places[placed.sequence[i]] = i;
    return ranking(names, places);
  }

  // The model, and the system text without its documents and digits. What was said in one scope is ordered by that
  // scope alone.
  Hash128 site_of(Section section) {
    if (!front_) {
      Hash128 front = hash_.parts<2>({asked_.account, prompt_.request->model});
      for (const Unit& unit : prompt_.units) {
        if (unit.section != Section::kSystem) continue;
        for (uint32_t block = unit.first_block; block < unit.first_block + unit.blocks; ++block) {
          std::string text(texts_.of(block));
          if (const auto run = documents_of(text)) text.erase(run->begin, run->end - run->begin);
          std::erase_if(text, base::is_digit);
          front = hash_.parts<2>({base::bytes_of(front), text});
        }
      }
      front_ = front;
    }
    return hash_.parts<2>(
        {base::bytes_of(*front_), section == Section::kMessages ? asked_.scope : std::string_view()});
  }

  uint32_t member(uint32_t object, std::string_view name) const {
    return prompt_.request->tape.find(prompt_.request->body.view(), object, name);
  }
  std::string string_at(uint32_t object, std::string_view name) const {
    if (prompt_.request->tape[object].type != JsonType::kObject) return {};
    const uint32_t node = member(object, name);
    const bool is_string = node != kNoNode && prompt_.request->tape[node].type == JsonType::kString;
    return is_string ? prompt_.text(node) : std::string();
  }

  const ContextAsked& asked_;
  const Prompt& prompt_;
  const base::KeyedHash& hash_;
  DocumentOrders& orders_;
  mutable Texts texts_;
  std::optional<Hash128> front_;
  std::unordered_map<Hash128, Span, base::Hash128Hasher> seen_;  // in earlier units, where first
  std::vector<std::pair<Hash128, Span>> news_;                   // in this unit
  std::vector<UnitLayout> layouts_;
  ContextPlan out_;
};

}  // namespace

ContextPlan ContextArranger::plan(const ContextAsked& asked, const base::KeyedHash& hash) {
  if (!asked.order && !asked.drop_repeats) return {};
  return Planner(asked, hash, orders_).run();
}

}  // namespace payonce::prefix
