// A message (or the system text) with its documents in another place: which bytes of the client's texts stand where,
// and which few words are ours. From it the new body is written, and against it the new body is proved.
// Threads: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "prefix/prompt/prompt.h"

namespace payonce::prefix {

struct Span {  // bytes of the decoded text of a block
  uint32_t block = 0, begin = 0, end = 0;
  bool operator==(const Span&) const = default;
};

struct LayoutPiece {
  Span of;                      // the client's bytes; empty: none, only `ours` is added
  std::string ours;             // words of ours: added, or in place of a repeated document
  std::optional<Span> repeats;  // the bytes that say the same in an earlier unit; `ours` stands in their place
};

// One content part of the unit as it will be sent.
struct PartLayout {
  uint32_t whole = kNoNode;  // a block that goes as it came; else a text made of `pieces`
  std::vector<LayoutPiece> pieces;
  uint32_t left_out = kNoNode, repeats = kNoNode;  // a block in whose place `pieces` say that it repeats that one
  uint32_t marker_of = kNoNode;                    // block whose marker it carries
};

struct UnitLayout {
  uint32_t unit = 0;
  std::vector<PartLayout> parts;
};

// Decoded texts of the blocks that layouts name. Views into it live as long as it does.
class Texts {
 public:
  explicit Texts(const Prompt& prompt) : prompt_(prompt), texts_(prompt.blocks.size()) {}
  std::string_view of(uint32_t block);
  std::string_view bytes(const Span& span) { return of(span.block).substr(span.begin, span.end - span.begin); }

 private:
  const Prompt& prompt_;
  std::vector<std::optional<std::string>> texts_;
};

// {"type":…,"text":…} and nothing else but a marker, or a plain string.
bool is_plain_text(const Prompt& prompt, uint32_t block);
// May a plain string in its place become a list of parts?
bool may_have_parts(const Prompt& prompt, const Unit& unit);

std::string write_layouts(const Prompt& prompt, Texts& texts, const std::vector<UnitLayout>& layouts);

// The proof, from the new bytes: all that is in no layout is equal; of each layout every byte of the client's texts
// stands exactly once in the new ones, documents in one piece, and what is left out stands in an earlier unit.
// kInternal says what differs.
base::Status check_layouts(const Prompt& original, Texts& texts, const std::vector<UnitLayout>& layouts,
                           std::string_view rewritten, const base::KeyedHash& hash);

}  // namespace payonce::prefix
