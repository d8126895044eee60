// Two versions of one text, as the places in it that changed and what seems to stand there.  Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace payonce::prefix {

// What one changed place looks like. What it is also depends on when it changes, which its text does not show.
enum class Guess : uint8_t {
  kClock,       // a time of day, a date with one, an epoch
  kDate,        // a day alone
  kId,          // drawn at random
  kUser,        // name or e-mail of a person
  kUserId,      // an id that is said to be a user's or a session's
  kWorkspace,   // path, git, environment, counters, by its label
  kBilling,     // Claude Code's billing line
  kWhitespace,  // nothing but white space or escapes differs
  kNumber,
  kOther,
};

struct Slot {
  Guess guess = Guess::kOther;
  size_t begin = 0, end = 0;          // in the later text
  size_t was_begin = 0, was_end = 0;  // in the earlier one
  std::string before, after;          // what stood, what stands there, bounded
  std::string label;                  // what stands before it on its line, bounded; tells slots apart
};

struct TextChange {
  std::vector<Slot> slots;   // in the order of the later text
  size_t changed_bytes = 0;  // of the larger text
  bool rewritten = false;    // most of it differs: another text
};

TextChange compare_text(std::string_view a, std::string_view b);

// Without white space, and with "\u00e9" and its like in the text decoded: what does not change when spelling does.
std::string without_spelling(std::string_view text);
std::string excerpt(std::string_view text);  // at most kExcerptBytes, cut at a character
inline constexpr size_t kExcerptBytes = 120;

// What the words in front of a place say about it. kOther: nothing.
Guess guess_by_label(std::string_view label);

}  // namespace payonce::prefix
