// What a question says, word by word, as far as it decides whether another question has the same answer. Made once
// for each question and kept beside its cache entry. Threads: free functions any; a Text is a value.  Errors: none,
// every byte string is a text. What is beyond the limits is not read, and `complete` says so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace payonce::semantic {

inline constexpr size_t kMaxTextBytes = 4096;
inline constexpr size_t kMaxWords = 400;
inline constexpr size_t kMaxWordBytes = 48;  // longer ones (data, URLs) are compared by their hash alone

struct Word {
  std::string form;      // lower case (ASCII), contractions taken apart
  uint32_t key = 0;      // equal for words of one meaning: a hash of the stem, or of the set that the lexicon names
  uint16_t classes = 0;  // of WordClass
  bool number = false;   // has a digit, or is a number word or Roman numeral
  bool capital = false;  // a capital that no sentence's beginning explains
  bool operator==(const Word&) const = default;
};

// A set of opposites that the text names, and which of them.
struct Pole {
  uint16_t contrast = 0;
  uint16_t poles = 0;  // bits
  bool operator==(const Pole&) const = default;
};

struct Text {
  std::vector<Word> words;         // in order, without what is said for politeness
  std::vector<uint32_t> numbers;   // sorted keys of numbers, dates, versions and ids, with repetitions
  std::vector<Pole> poles;         // sorted by contrast
  std::vector<uint32_t> trigrams;  // sorted hashes of three characters, without repetitions
  std::string first_question;      // its first question word or modal, or empty
  uint32_t negations = 0;          // of the whole text
  uint32_t sentences = 0;
  uint32_t politeness = 0;  // words left out of `words`
  bool complete = true;     // the limits above were enough
  bool cased = false;       // capitals tell names from words here
  bool english = true;      // as far as one can tell: what the word lists and the trees know
};

Text analyse(std::string_view text);

}  // namespace payonce::semantic
