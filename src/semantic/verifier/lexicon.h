// English words that decide whether two questions have one answer: function words, negations, opposites, words of one
// meaning, polite phrases. Our own lists, written for this purpose; a word that is not in them is compared as it is.
// Threads: any, it never changes.  Owner: the program.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace payonce::semantic {

enum WordClass : uint16_t {
  kStop = 1 << 0,      // a function word: carries no matter of its own
  kNegation = 1 << 1,  // turns the meaning round
  kDate = 1 << 2,      // month, weekday, day relative to today
  kWh = 1 << 3,        // question word
  kModal = 1 << 4,     // can, should, …: also begins a question
  kRole = 1 << 5,      // preposition: tells which part its noun plays
  kEither = 1 << 6,    // or, and, versus: what stands around it may change places
  kOther = 1 << 7,     // he, she, they: a third person
};

struct LexiconEntry {
  uint16_t classes = 0;
  uint16_t meaning = 0;   // words of one meaning share it; 0: the word itself
  uint16_t contrast = 0;  // the set of opposites that it belongs to; 0: none
  uint16_t pole = 0;      // which of them, a bit
  int16_t number = -1;    // a number word's value
};

class Lexicon {
 public:
  static const Lexicon& english();

  // `form` in lower case; phrases have one blank between words. nullptr: not listed.
  const LexiconEntry* find(std::string_view form) const;
  // An irregular form's base ("went" -> "go"), else the argument.
  std::string_view base_of(std::string_view form) const;
  // Whether it is listed as its own base: its ending is none ("news").
  bool is_base(std::string_view form) const { return bases_.contains(form) && base_of(form) == form; }
  // Each a list of words: what people say before or after the question itself.
  const std::vector<std::vector<std::string_view>>& openings() const { return openings_; }
  const std::vector<std::vector<std::string_view>>& closings() const { return closings_; }

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  Lexicon();
  void add_classes(std::string_view words, uint16_t classes);
  void add_contrasts();
  void add_meanings();

  std::unordered_map<std::string, LexiconEntry, Hash, std::equal_to<>> entries_;
  std::unordered_map<std::string_view, std::string_view> bases_;
  std::vector<std::vector<std::string_view>> openings_;
  std::vector<std::vector<std::string_view>> closings_;
  uint16_t meanings_ = 0;
};

}  // namespace payonce::semantic
