// The first step of text.h: bytes to words.  Threads: any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace payonce::semantic {

struct RawWord {
  std::string form;      // lower case, apostrophes kept
  bool capital = false;  // its first letter is one
  bool upper = false;    // more than one letter, all capitals
  bool begins = false;   // first of a sentence
};

struct RawText {
  std::vector<RawWord> words;
  size_t sentences = 0;
  bool complete = true;
};

// Numbers with their separators ("1,000", "3.2.1", "2021-05-03", "AB-12"), dotted names ("node.js") and "c++" are one
// word; hyphens and slashes otherwise part words.
RawText split_words(std::string_view text);

// A word's stem by a few rules for English endings: for comparing, not for showing.
std::string stem_of(std::string_view form);

}  // namespace payonce::semantic
