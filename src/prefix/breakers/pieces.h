// A text as sentences and lines, to tell whether two texts are one prompt, and whether the second has
// the pieces of the first in another order.  Threads: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace payonce::prefix {

struct TextPiece {
  uint64_t hash;        // digits, white space and a leading list mark do not count; finds likeness, proves nothing
  uint32_t begin, end;  // bytes of the text; the pieces cover it
};
enum class Cut : uint8_t { kLines, kSentences };
std::vector<TextPiece> pieces_of(std::string_view text, Cut cut = Cut::kSentences);

// The pieces of a text as a set with sizes.
struct Sketch {
  std::vector<std::pair<uint64_t, uint32_t>> pieces;  // hash → bytes, sorted
  uint64_t bytes = 0;
};
Sketch sketch_of(std::string_view text);
double likeness(const Sketch& a, const Sketch& b);  // shared bytes of the larger one, 0 … 1

struct Same {
  double share = 0.7;                // of both texts' bytes
  uint32_t lone_lines = UINT32_MAX;  // long ones that stand in one text alone, at most
};
// `b` holds nearly all that `a` holds, as `same` has it, with some of it moved.
struct Reordered {
  size_t begin, end;    // in b: the first piece that stands elsewhere
  std::string aligned;  // a with its shared pieces in the order of b, to compare with b further
};
std::optional<Reordered> find_reordered(std::string_view a, std::string_view b, const Same& same);

// A longest run of items that keep their order; the others have moved. `ranks`: distinct numbers. True: moved.
std::vector<bool> moved_items(const std::vector<uint32_t>& ranks);

}  // namespace payonce::prefix
