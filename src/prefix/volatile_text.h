// System text in segments (lines, and sentences of them), and which of these differ from request to request: times,
// ids, names. A segment keeps its white space, so the segments in a row are the text.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"

namespace payonce::prefix {

struct Segment {
  uint32_t begin = 0, size = 0;  // bytes of the text
  base::Hash128 exact;           // of its bytes
  base::Hash128 slot;  // of what stays when dates, numbers and ids in it change: the same slot, another value
  bool looks_volatile = false;  // holds a time of day, an epoch, a UUID or another long random id
  bool is_git_state = false;    // says what git says of a working tree: it changes as the work goes on
};

// A text with its segments. Shared and immutable: system texts come again with every request.
struct SegmentedText {
  std::string text;
  std::vector<Segment> segments;
};

std::vector<Segment> segments_of(std::string_view text, const base::KeyedHash& hash);

// The text with digits, hex ids, names of months, weekdays and halves of the day made equal.
std::string masked(std::string_view segment);
bool looks_volatile(std::string_view segment);
// A line of `git log --oneline` or `git status --short`, or the label above them, as coding agents write them into
// their system prompts ("Recent commits:", "- Git status:", "Status:").
// `below_another`: a line like that stands above it; then a hash of digits alone is one, too.
bool is_git_state(std::string_view segment, bool below_another = false);

}  // namespace payonce::prefix
