#include "agent/intent.h"

#include <algorithm>
#include <span>
#include <vector>

#include "semantic/verifier/lexicon.h"

namespace payonce::agent {
namespace {

using semantic::Lexicon;

constexpr std::string_view kBlanks = " \t\r\n\f\v";
constexpr std::string_view kAround = ".,;:!?\"'()";  // before or behind a word it is punctuation

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::string lower(std::string_view word) {
  std::string out(word);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> out;
  bool begins = true;  // a sentence
  while (true) {
    const size_t begin = text.find_first_not_of(kBlanks);
    if (begin == std::string_view::npos) return out;
    const size_t end = std::min(text.find_first_of(kBlanks, begin), text.size());
    const std::string_view whole = text.substr(begin, end - begin);
    text.remove_prefix(end);
    const size_t first = whole.find_first_not_of(kAround);
    const bool ends = whole.find_last_of(".!?") == whole.size() - 1;
    if (first != std::string_view::npos) {
      const std::string_view word = whole.substr(first, whole.find_last_not_of(kAround) - first + 1);
      const bool plain = std::all_of(word.begin(), word.end(), is_letter);
      std::string small = lower(word);
      const bool says_nothing = plain && (begins || Lexicon::english().find(small) != nullptr);
      out.push_back(says_nothing ? std::move(small) : std::string(word));
      begins = false;
    }
    begins = begins || ends;
  }
}

// How many words the longest of the phrases takes at one end; never all of them.
size_t phrase_size(std::span<const std::string> words, const std::vector<std::vector<std::string_view>>& phrases,
                   bool at_end) {
  size_t best = 0;
  for (const auto& phrase : phrases) {
    if (phrase.size() <= best || phrase.size() >= words.size()) continue;
    const auto part = at_end ? words.last(phrase.size()) : words.first(phrase.size());
    const auto same = [](const std::string& word, std::string_view form) { return lower(word) == form; };
    if (std::equal(part.begin(), part.end(), phrase.begin(), same)) best = phrase.size();
  }
  return best;
}

}  // namespace

std::string intent_of(std::string_view text) {
  const std::vector<std::string> all = words_of(text);
  std::span<const std::string> words = all;
  const Lexicon& lexicon = Lexicon::english();
  while (const size_t size = phrase_size(words, lexicon.openings(), false)) words = words.subspan(size);
  while (const size_t size = phrase_size(words, lexicon.closings(), true)) words = words.first(words.size() - size);
  std::string out;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += ' ';
    // What follows an opening begins the sentence.
    const bool plain = std::all_of(words[i].begin(), words[i].end(), is_letter);
    out += i == 0 && plain ? lower(words[i]) : words[i];
  }
  return out;
}

}  // namespace payonce::agent
