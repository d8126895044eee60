// What two analysed texts do not share, word by word.  Threads: any.  Owner: the Words are borrowed from the Texts.
#pragma once

#include <cstddef>
#include <vector>

#include "semantic/verifier/text.h"

namespace payonce::semantic {

struct Difference {
  std::vector<const Word*> only_first;  // matter words without a partner, in order
  std::vector<const Word*> only_second;
  size_t shared = 0;      // matter words of one meaning in both
  size_t typos = 0;       // partners that differ by one or two letters
  size_t stop_first = 0;  // function words without a partner
  size_t stop_second = 0;
  size_t stop_shared = 0;
  size_t roles = 0;         // prepositions without a partner, in both
  size_t others_first = 0;  // he, she, they without a partner
  size_t others_second = 0;
  size_t numbers_first = 0;  // numbers, dates, versions, ids without a partner
  size_t numbers_second = 0;
  size_t names_first = 0;  // capitalised words without a partner
  size_t names_second = 0;
  size_t opposites = 0;     // sets of opposites of which each names another
  size_t one_sided = 0;     // sets of opposites that one of them names alone
  size_t prefixed = 0;      // "possible" against "impossible"
  size_t swapped = 0;       // pairs of words that have changed parts
  bool same_order = false;  // all matter words shared, in one order
  float in_order = 0;       // longest common subsequence of matter words / the longer count
};

Difference difference(const Text& first, const Text& second);

// Whether one is the other with a typing error or two: never for numbers or short words.
bool is_typo(std::string_view a, std::string_view b);

}  // namespace payonce::semantic
