#include "semantic/verifier/difference.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>

#include "semantic/verifier/lexicon.h"

namespace payonce::semantic {
namespace {

constexpr size_t kMaxOrdered = 48;   // matter words of which the order is compared
constexpr size_t kMaxCompared = 16;  // words without a partner that are searched for typing errors

bool has(const Word& word, uint16_t classes) { return (word.classes & classes) != 0; }
bool is_matter(const Word& word) { return word.number || !has(word, kStop); }

std::vector<const Word*> words_of(const Text& text, bool matter) {
  std::vector<const Word*> out;
  for (const Word& word : text.words)
    if (is_matter(word) == matter) out.push_back(&word);
  return out;
}

// Takes words of equal key out of both lists; returns how many.
size_t take_equal(std::vector<const Word*>& first, std::vector<const Word*>& second) {
  std::map<uint32_t, size_t> left;
  for (const Word* word : second) ++left[word->key];
  std::map<uint32_t, size_t> taken;
  const size_t before = first.size();
  std::erase_if(first, [&](const Word* word) {
    size_t& count = left[word->key];
    if (count == 0) return false;
    --count;
    ++taken[word->key];
    return true;
  });
  std::erase_if(second, [&](const Word* word) {
    size_t& count = taken[word->key];
    return count > 0 && count-- > 0;
  });
  return before - first.size();
}

// Takes out pairs for which `are` holds; returns how many.
template <typename Are>
size_t take_pairs(std::vector<const Word*>& first, std::vector<const Word*>& second, const Are& are) {
  if (first.size() > kMaxCompared || second.size() > kMaxCompared) return 0;
  size_t found = 0;
  for (size_t i = 0; i < first.size();) {
    const auto partner =
        std::find_if(second.begin(), second.end(), [&](const Word* w) { return are(*first[i], *w); });
    if (partner == second.end()) {
      ++i;
      continue;
    }
    second.erase(partner);
    first.erase(first.begin() + static_cast<std::ptrdiff_t>(i));
    ++found;
  }
  return found;
}

// "smart phone" for "smartphone": takes the three out.
void take_compounds(std::vector<const Word*>& parts, std::vector<const Word*>& wholes) {
  if (parts.size() > kMaxCompared || wholes.size() > kMaxCompared) return;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    const std::string joined = parts[i]->form + parts[i + 1]->form;
    const auto is_joined = [&](const Word* w) {
      std::string plain = w->form;
      std::erase(plain, '-');
      return plain == joined;
    };
    const auto whole = std::find_if(wholes.begin(), wholes.end(), is_joined);
    if (whole == wholes.end()) continue;
    wholes.erase(whole);
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(i), parts.begin() + static_cast<std::ptrdiff_t>(i) + 2);
  }
}

bool is_prefixed(const std::string& word, const std::string& base) {
  static constexpr std::array<std::string_view, 9> kPrefixes = {"un", "in",  "dis", "im",  "ir",
                                                                "il", "non", "de",  "anti"};
  if (base.size() < 4 || word.size() <= base.size() || !word.ends_with(base)) return false;
  const std::string_view prefix = std::string_view(word).substr(0, word.size() - base.size());
  return std::find(kPrefixes.begin(), kPrefixes.end(), prefix) != kPrefixes.end();
}

bool are_prefixed(const Word& a, const Word& b) { return is_prefixed(a.form, b.form) || is_prefixed(b.form, a.form); }

bool are_typo(const Word& a, const Word& b) {
  if (a.number || b.number || has(a, kDate) || has(b, kDate)) return false;
  // Short names that differ by a letter ("Maria", "Marie") are two people.
  if (a.capital && b.capital && std::min(a.form.size(), b.form.size()) < 7) return false;
  const LexiconEntry* of_a = Lexicon::english().find(a.form);
  const LexiconEntry* of_b = Lexicon::english().find(b.form);
  if (of_a != nullptr && of_b != nullptr) return false;  // two words that we know are two words
  return is_typo(a.form, b.form) && !are_prefixed(a, b);
}

// "India" and "Indian": a name and what is made of it.
bool are_derived(const Word& a, const Word& b) {
  const auto& [shorter, longer] =
      std::minmax(a.form, b.form, [](const auto& x, const auto& y) { return x.size() < y.size(); });
  return a.capital && b.capital && shorter.size() >= 4 && longer.size() - shorter.size() <= 3 &&
         longer.starts_with(shorter);
}

size_t count(const std::vector<const Word*>& words, uint16_t classes) {
  return static_cast<size_t>(
      std::count_if(words.begin(), words.end(), [&](const Word* w) { return has(*w, classes); }));
}

bool is_numeric(const Word& word) { return word.number || has(word, kDate); }

size_t count_numbers(const std::vector<const Word*>& words) {
  return static_cast<size_t>(std::count_if(words.begin(), words.end(), [](const Word* w) { return is_numeric(*w); }));
}

size_t count_names(const std::vector<const Word*>& words) {
  return static_cast<size_t>(std::count_if(words.begin(), words.end(), [](const Word* w) { return w->capital; }));
}

void compare_poles(const Text& first, const Text& second, Difference& out) {
  const auto poles_in = [](const Text& text, uint16_t contrast) {
    for (const Pole& pole : text.poles)
      if (pole.contrast == contrast) return pole.poles;
    return uint16_t{0};
  };
  for (const Pole& pole : first.poles) {
    const uint16_t there = poles_in(second, pole.contrast);
    if (there == 0) ++out.one_sided;
    if (there != 0 && (there & pole.poles) == 0) ++out.opposites;
  }
  for (const Pole& pole : second.poles)
    if (poles_in(first, pole.contrast) == 0) ++out.one_sided;
}

// The word before each matter word that occurs once, articles aside: what part it plays. Empty: another matter word
// or nothing stands there.
struct Place {
  uint32_t before = 0;
  bool either = false;  // beside "or", "and", "versus", or a comma-like list: may change places
};

std::map<uint32_t, Place> places_of(const Text& text) {
  std::map<uint32_t, Place> out;
  std::map<uint32_t, size_t> counts;
  for (size_t i = 0; i < text.words.size() && counts.size() < kMaxOrdered; ++i) {
    const Word& word = text.words[i];
    if (!is_matter(word)) continue;
    size_t before = i;
    const auto is_article = [](const Word& w) { return w.form == "the" || w.form == "a" || w.form == "an"; };
    do {
      if (before == 0) break;
      --before;
    } while (before > 0 && is_article(text.words[before]));
    Place place;
    if (before < i) place.before = text.words[before].key;
    const bool after = i + 1 < text.words.size() && has(text.words[i + 1], kEither);
    place.either = after || (before < i && has(text.words[before], kEither));
    if (++counts[word.key] == 1) out[word.key] = place;
  }
  std::erase_if(out, [&](const auto& entry) { return counts[entry.first] > 1; });
  return out;
}

// Two words that have changed parts: each stands in one text behind what the other stands behind in the other.
size_t swapped(const Text& first, const Text& second) {
  const auto there = places_of(second);
  std::vector<std::pair<Place, Place>> moved;
  for (const auto& [key, place] : places_of(first)) {
    const auto found = there.find(key);
    if (found == there.end() || place.either || found->second.either) continue;
    if (place.before != found->second.before) moved.emplace_back(place, found->second);
  }
  size_t out = 0;
  for (size_t i = 0; i < moved.size(); ++i)
    for (size_t j = i + 1; j < moved.size(); ++j)
      out += moved[i].first.before == moved[j].second.before && moved[i].second.before == moved[j].first.before ? 1u
                                                                                                                : 0u;
  return out;
}

// "5 - 3" and "3 - 5": the same numbers in another order. Not beside "and" or "or", nor with a date's parts.
bool numbers_moved(const Text& first, const Text& second) {
  const auto in_order = [](const Text& text) {
    std::vector<uint32_t> out;
    for (size_t i = 0; i < text.words.size(); ++i) {
      const bool either = (i > 0 && has(text.words[i - 1], kEither)) ||
                          (i + 1 < text.words.size() && has(text.words[i + 1], kEither));
      if (text.words[i].number && !has(text.words[i], kDate) && !either) out.push_back(text.words[i].key);
    }
    return out;
  };
  const std::vector<uint32_t> there = in_order(first), here = in_order(second);
  return there != here && std::is_permutation(there.begin(), there.end(), here.begin(), here.end());
}

size_t common_subsequence(const std::vector<const Word*>& a, const std::vector<const Word*>& b) {
  const size_t n = std::min(b.size(), kMaxOrdered);
  std::array<uint8_t, kMaxOrdered + 1> row{};
  for (size_t i = 0; i < std::min(a.size(), kMaxOrdered); ++i) {
    uint8_t diagonal = 0;
    for (size_t j = 0; j < n; ++j) {
      const uint8_t above = row[j + 1];
      row[j + 1] = a[i]->key == b[j]->key ? static_cast<uint8_t>(diagonal + 1) : std::max(row[j + 1], row[j]);
      diagonal = above;
    }
  }
  return row[n];
}

bool stands_before(const Text& a, const Text& b) {
  return std::lexicographical_compare(a.words.begin(), a.words.end(), b.words.begin(), b.words.end(),
                                      [](const Word& x, const Word& y) { return x.form < y.form; });
}

void compare_matter(const Text& first, const Text& second, Difference& out) {
  out.only_first = words_of(first, true);
  out.only_second = words_of(second, true);
  const size_t longer = std::min(kMaxOrdered, std::max(out.only_first.size(), out.only_second.size()));
  const size_t in_order = common_subsequence(out.only_first, out.only_second);
  out.in_order = longer == 0 ? 1.0f : static_cast<float>(in_order) / static_cast<float>(longer);
  out.shared = take_equal(out.only_first, out.only_second);
  out.same_order = out.only_first.empty() && out.only_second.empty() && in_order == longer;
  // Each word takes the first partner that will do: two texts have one difference only if the same one always
  // chooses.
  const bool turned = stands_before(second, first);
  auto& choosing = turned ? out.only_second : out.only_first;
  auto& chosen = turned ? out.only_first : out.only_second;
  out.prefixed = take_pairs(choosing, chosen, are_prefixed);
  take_compounds(choosing, chosen);
  take_compounds(chosen, choosing);
  (void)take_pairs(choosing, chosen, are_derived);
  out.typos = take_pairs(choosing, chosen, are_typo);
}

void compare_function_words(const Text& first, const Text& second, Difference& out) {
  auto stop_first = words_of(first, false);
  auto stop_second = words_of(second, false);
  out.stop_shared = take_equal(stop_first, stop_second);
  out.stop_first = stop_first.size();
  out.stop_second = stop_second.size();
  out.roles = count(stop_first, kRole) + count(stop_second, kRole);
  out.others_first = count(stop_first, kOther);
  out.others_second = count(stop_second, kOther);
}

}  // namespace

bool is_typo(std::string_view a, std::string_view b) {
  const size_t shorter = std::min(a.size(), b.size());
  const size_t longer = std::max(a.size(), b.size());
  if (shorter < 4 || longer > 24 || longer - shorter > 2) return false;
  const size_t allowed = longer >= 8 ? 2 : 1;
  // Optimal string alignment: insert, delete, replace, or exchange two neighbours.
  std::array<std::array<uint8_t, 25>, 25> d{};
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = static_cast<uint8_t>(i);
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = static_cast<uint8_t>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const uint8_t replaced = static_cast<uint8_t>(d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1));
      d[i][j] = std::min({replaced, static_cast<uint8_t>(d[i - 1][j] + 1), static_cast<uint8_t>(d[i][j - 1] + 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], static_cast<uint8_t>(d[i - 2][j - 2] + 1));
    }
  }
  return d[a.size()][b.size()] <= allowed;
}

Difference difference(const Text& first, const Text& second) {
  Difference out;
  compare_matter(first, second, out);
  compare_function_words(first, second, out);
  out.numbers_first = count_numbers(out.only_first);
  out.numbers_second = count_numbers(out.only_second);
  out.names_first = count_names(out.only_first);
  out.names_second = count_names(out.only_second);
  compare_poles(first, second, out);
  out.swapped = swapped(first, second) + (numbers_moved(first, second) ? 1 : 0);
  return out;
}

}  // namespace payonce::semantic
