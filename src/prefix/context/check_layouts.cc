#include <algorithm>
#include <string>

#include "llm/json_edit.h"
#include "prefix/context/documents.h"
#include "prefix/context/unit_layout.h"
#include "prefix/prompt/value_hash.h"

namespace payonce::prefix {
namespace {

using llm::JsonType;

base::Status differs(std::string_view what) {
  return base::fail(base::Code::kInternal, "the request with arranged documents differs in its " + std::string(what));
}

// The body with nothing in place of the prompt's lists and texts.
std::string around_prompt(const Prompt& prompt) {
  llm::JsonEdit edit(prompt.request->body.view(), prompt.request->tape);
  for (const uint32_t node : {prompt.tools_node, prompt.system_node, prompt.messages_node})
    if (node != kNoNode) edit.replace(node, "0");
  return edit.apply();
}

std::string around_content(const Prompt& prompt, const Unit& unit) {
  const llm::Tape& tape = prompt.request->tape;
  if (tape[unit.node].type != JsonType::kObject) return "0";
  const std::string json(prompt.raw(unit.node));
  const auto own = llm::Tape::parse(json);
  if (!own) return {};
  llm::JsonEdit edit(json, *own);
  edit.replace(own->find(json, 0, "content"), "0");
  return edit.apply();
}

bool equal_json(std::string_view a, std::string_view b) {
  const auto tape_a = llm::Tape::parse(a), tape_b = llm::Tape::parse(b);
  return tape_a && tape_b && same_value({*tape_a, a, 0}, {*tape_b, b, 0});
}

// What the layouts keep of one block, in the order of its bytes; whole blocks as one span to the end.
struct Kept {
  const std::vector<UnitLayout>& layouts;
  bool whole(const Prompt& prompt, uint32_t block) const {
    for (const UnitLayout& layout : layouts) {
      if (prompt.blocks[block].unit != layout.unit) continue;
      return std::any_of(layout.parts.begin(), layout.parts.end(),
                         [&](const PartLayout& part) { return part.whole == block; });
    }
    return true;
  }
  bool inside_one_piece(const Prompt& prompt, const Span& span) const {
    for (const UnitLayout& layout : layouts) {
      if (prompt.blocks[span.block].unit != layout.unit) continue;
      for (const PartLayout& part : layout.parts) {
        if (part.whole == span.block) return true;
        for (const LayoutPiece& piece : part.pieces)
          if (!piece.repeats && piece.of.block == span.block && piece.of.begin <= span.begin &&
              span.end <= piece.of.end)
            return true;
      }
      return false;
    }
    return true;  // of a unit that is as it was
  }
};

// Every block whole, or every byte of its text in exactly one piece.
base::Status check_all_is_there(const Prompt& prompt, Texts& texts, const UnitLayout& layout) {
  const Unit& unit = prompt.units[layout.unit];
  for (uint32_t block = unit.first_block; block < unit.first_block + unit.blocks; ++block) {
    size_t whole = 0;
    std::vector<Span> spans;
    for (const PartLayout& part : layout.parts) {
      whole += part.whole == block || part.left_out == block ? 1 : 0;
      for (const LayoutPiece& piece : part.pieces)
        if (piece.of.block == block && piece.of.begin < piece.of.end) spans.push_back(piece.of);
    }
    if (whole > 0) {
      if (whole == 1 && spans.empty()) continue;
      return differs("parts");
    }
    if (!is_plain_text(prompt, block)) return differs("parts");
    std::sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) { return a.begin < b.begin; });
    uint32_t at = 0;
    for (const Span& span : spans) {
      if (span.begin != at) return differs("text");
      at = span.end;
    }
    if (at != texts.of(block).size()) return differs("text");
  }
  return {};
}

base::Status check_repeats(const Prompt& prompt, Texts& texts, const UnitLayout& layout, const Kept& kept) {
  const auto value = [&](uint32_t block) {
    return Value{prompt.request->tape, prompt.request->body.view(), prompt.blocks[block].node};
  };
  for (const PartLayout& part : layout.parts) {
    if (part.left_out != kNoNode) {
      const Block& first = prompt.blocks[part.repeats];
      if (part.pieces.empty() || first.unit >= layout.unit || !kept.whole(prompt, part.repeats) ||
          !same_value(value(part.left_out), value(part.repeats), 1))
        return differs("repeated documents");
    }
    for (const LayoutPiece& piece : part.pieces) {
      if (!piece.repeats) continue;
      const bool earlier = prompt.blocks[piece.repeats->block].unit < layout.unit;
      if (!earlier || piece.ours.empty() || !kept.inside_one_piece(prompt, *piece.repeats) ||
          texts.bytes(*piece.repeats) != texts.bytes(piece.of))
        return differs("repeated documents");
    }
  }
  return {};
}

base::Status check_documents(const Prompt& prompt, Texts& texts, const UnitLayout& layout, const Kept& kept) {
  const Unit& unit = prompt.units[layout.unit];
  for (uint32_t block = unit.first_block; block < unit.first_block + unit.blocks; ++block) {
    const auto run = documents_of(texts.of(block));
    if (!run) continue;
    for (const Document& document : run->documents) {
      const Span span{block, document.begin, document.begin + document.size};
      bool replaced = false;
      for (const PartLayout& part : layout.parts) {
        replaced = replaced || part.left_out == block;
        for (const LayoutPiece& piece : part.pieces) replaced = replaced || (piece.repeats && piece.of == span);
      }
      if (!replaced && !kept.inside_one_piece(prompt, span)) return differs("documents");
    }
  }
  return {};
}

// The parts that were sent are those of the layout.
base::Status check_parts(const Prompt& prompt, Texts& texts, const UnitLayout& layout, const Prompt& made,
                         const base::KeyedHash& hash) {
  const Unit& unit = made.units[layout.unit];
  if (unit.blocks != layout.parts.size()) return differs("number of parts");
  if (!equal_json(around_content(prompt, prompt.units[layout.unit]), around_content(made, unit)))
    return differs("messages");
  for (uint32_t i = 0; i < unit.blocks; ++i) {
    const PartLayout& part = layout.parts[i];
    const uint32_t block = unit.first_block + i;
    if (part.whole != kNoNode) {
      const Value was{prompt.request->tape, prompt.request->body.view(), prompt.blocks[part.whole].node};
      const Value is{made.request->tape, made.request->body.view(), made.blocks[block].node};
      if (!(value_hash(hash, was, true) == value_hash(hash, is, true))) return differs("parts");
      continue;
    }
    std::string expected;
    for (const LayoutPiece& piece : part.pieces) {
      if (!piece.repeats) expected += texts.bytes(piece.of);
      expected += piece.ours;
    }
    if (!is_plain_text(made, block) || made.text(made.blocks[block].text_node) != expected) return differs("text");
  }
  return {};
}

}  // namespace

base::Status check_layouts(const Prompt& original, Texts& texts, const std::vector<UnitLayout>& layouts,
                           std::string_view rewritten, const base::KeyedHash& hash) {
  const auto request = llm::parse_request(original.request->dialect, base::Bytes(std::string(rewritten)));
  if (!request) return differs("syntax");
  const auto made = read_prompt(*request, hash);
  if (!made || made->units.size() != original.units.size()) return differs("shape");
  if (!equal_json(around_prompt(original), around_prompt(*made))) return differs("parameters");
  const Kept kept{layouts};
  for (uint32_t i = 0; i < original.units.size(); ++i) {
    const Unit &was = original.units[i], &is = made->units[i];
    if (was.section != is.section || was.role != is.role) return differs("roles");
    const auto layout =
        std::find_if(layouts.begin(), layouts.end(), [&](const UnitLayout& of) { return of.unit == i; });
    if (layout == layouts.end()) {
      if (!(was.value == is.value)) return differs("messages");
      continue;
    }
    PAYONCE_CHECK_OK(check_all_is_there(original, texts, *layout));
    PAYONCE_CHECK_OK(check_repeats(original, texts, *layout, kept));
    PAYONCE_CHECK_OK(check_documents(original, texts, *layout, kept));
    PAYONCE_CHECK_OK(check_parts(original, texts, *layout, *made, hash));
  }
  return {};
}

}  // namespace payonce::prefix
