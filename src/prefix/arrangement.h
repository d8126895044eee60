// A request as it will be sent, piece by piece, before bytes are made of it: tools in another order, units in the
// spelling that came first, lines moved out of the system text, breakpoints. What is not arranged anew keeps every
// byte. Threads: one at a time.  The prompt outlives it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "prefix/call_sites.h"
#include "prefix/prompt/prompt.h"
#include "prefix/spelling_book.h"

namespace payonce::prefix {

struct Mark {
  uint32_t block = 0;  // of Prompt::blocks
  Marker ttl = Marker::kShort;
  bool operator==(const Mark&) const = default;
};

// How a provider spells a breakpoint.
struct MarkerSpelling {
  std::string member;       // "cache_control", "prompt_cache_breakpoint"; empty: it has none
  std::string short_value;  // JSON object
  std::string long_value;   // the same for the long TTL; empty: it has one TTL
};

// A block in the order of sending.
struct SentBlock {
  uint32_t block = 0;   // of Prompt::blocks
  base::Hash128 chain;  // of it and all that is sent before it
  uint32_t tokens_through = 0;
};

// What beside the blocks makes a cache another one, from each section on.
struct CacheOf {
  base::Hash128 tools, system, messages;
};

class Arrangement {
 public:
  explicit Arrangement(const Prompt& prompt);

  void order_tools(const std::vector<uint32_t>& order, const ListStyle& tools, const ListStyle& messages);
  // In place of the unit's own spelling; says the same.
  void respell(uint32_t unit, Spelling spelling) { pieces_[unit].spelling = std::move(spelling); }
  // The unit's text as it goes now, without markers.
  std::string_view text(uint32_t unit) const;
  // Takes the segments that change out of the system text; they follow the last user's or tool's message in a part of
  // their own. False, and nothing done, where nothing would stay or there is no such message.
  bool move(const std::vector<SiteView::Text>& system);
  void drop_automatic() { keeps_automatic_ = false; }  // the top-level cache_control
  bool keeps_automatic() const { return keeps_automatic_; }
  void drop_part(uint32_t block);  // a part of a list that is not sent at all; not the only one
  void set_cache_key(std::string key) { cache_key_ = std::move(key); }  // prompt_cache_key

  std::vector<SentBlock> sent(const base::KeyedHash& hash, const CacheOf& cache) const;
  bool is_dropped(uint32_t block) const { return dropped_[block]; }
  bool tools_moved() const;
  uint32_t respelled() const;  // units
  bool moved() const { return !moved_text_.empty(); }

  // The body with these breakpoints, and none else; nothing when it is what came. `marks` ascend.
  std::optional<std::string> write(const std::vector<Mark>& marks, const MarkerSpelling& spelling) const;

 private:
  struct Piece {
    std::string stripped;  // its own text without markers, where it has any
    Spelling spelling;     // null: as it came
  };
  std::string unit_text(uint32_t unit, const std::vector<Mark>& marks, const MarkerSpelling& spelling) const;
  bool keeps_markers(const Unit& unit, const std::vector<Mark>& marks) const;
  std::string marked(uint32_t unit, std::string text, const std::vector<Mark>& marks,
                     const MarkerSpelling& spelling) const;
  std::string with_moved_text(std::string_view message, bool own_part) const;
  std::string list(Section from, Section to, const ListStyle& style, const std::vector<Mark>& marks,
                   const MarkerSpelling& spelling) const;
  std::string without_segments(const Unit& unit, const std::vector<SiteView::Text>& system);
  uint32_t part_of(uint32_t block) const;  // its place in its list, without the dropped ones
  std::string_view text_type(Role role) const;

  const Prompt& prompt_;
  std::vector<uint32_t> order_;  // of units
  std::vector<Piece> pieces_;    // by unit
  std::vector<bool> dropped_;    // by block
  ListStyle tools_style_, messages_style_;
  std::string moved_text_;
  uint32_t moved_to_ = 0;  // unit
  std::optional<std::string> cache_key_;
  bool keeps_automatic_ = true;
};

}  // namespace payonce::prefix
