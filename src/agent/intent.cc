#include "agent/intent.h"

#include <algorithm>
#include <span>
#include <vector>

#include "base/ascii.h"
#include "semantic/verifier/lexicon.h"

namespace payonce::agent {
namespace {

using Words = std::span<const std::string_view>;
using Phrases = std::vector<std::vector<std::string_view>>;

constexpr std::string_view kBlanks = " \t\r\n\f\v";
constexpr size_t kFewWords = 3;  // a full stop behind fewer may be what is asked for

using base::is_ascii;
using base::is_letter;
using base::is_upper;
using base::lowered;

bool is_plain(std::string_view word) { return std::all_of(word.begin(), word.end(), is_letter); }

std::string_view trimmed(std::string_view text) { return base::trimmed(text, kBlanks); }

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> out;
  for (text = trimmed(text); !text.empty();) {
    const size_t end = std::min(text.find_first_of(kBlanks), text.size());
    out.push_back(text.substr(0, end));
    text = trimmed(text.substr(end));
  }
  return out;
}

// Blanks in quotes and at the beginning of lines say something.
bool is_layout(std::string_view text) {
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    const bool apostrophe =
        c == '\'' && at > 0 && at + 1 < text.size() && is_letter(text[at - 1]) && is_letter(text[at + 1]);
    if (c == '"' || c == '`' || c == '\n' || (c == '\'' && !apostrophe) || !is_ascii(c)) return true;
  }
  return false;
}

// "calc.py." and "5." lose what ends the sentence; "5!", "cd .." and "a?." do not.
std::string_view without_mark(std::string_view word, std::string_view marks) {
  if (word.size() < 2 || marks.find(word.back()) == std::string_view::npos) return word;
  const char before = word[word.size() - 2];
  const bool number = base::is_digit(before) && word.back() != '!';
  return is_letter(before) || number ? word.substr(0, word.size() - 1) : word;
}

bool is_phrase(Words words, const std::vector<std::string_view>& phrase) {
  return std::equal(
      words.begin(), words.end(), phrase.begin(), phrase.end(),
      [](std::string_view word, std::string_view form) { return lowered(without_mark(word, ",.!")) == form; });
}

// How many words of the longest phrase stand at that end; never all of them.
size_t phrase_size(Words words, const Phrases& phrases, bool at_end) {
  size_t best = 0;
  for (const auto& phrase : phrases) {
    if (phrase.size() <= best || phrase.size() >= words.size()) continue;
    if (is_phrase(at_end ? words.last(phrase.size()) : words.first(phrase.size()), phrase)) best = phrase.size();
  }
  return best;
}

// "Write a card that says thanks" ends with what it is about; "Run the tests, thanks" does not.
Words without_closing(Words words) {
  const size_t size = phrase_size(words, semantic::Lexicon::english().closings(), true);
  if (size == 0) return words;
  const std::string_view before = words[words.size() - size - 1];
  return without_mark(before, ",.!?") == before ? words : words.first(words.size() - size);
}

}  // namespace

std::string intent_of(std::string_view text) {
  text = trimmed(text);
  if (is_layout(text)) return std::string(text);
  const std::vector<std::string_view> all = words_of(text);
  Words words = all;
  while (const size_t size = phrase_size(words, semantic::Lexicon::english().openings(), false))
    words = words.subspan(size);
  const bool polite = words.size() < all.size();
  for (size_t before = words.size() + 1; words.size() < before;) {
    before = words.size();
    words = without_closing(words);
  }
  const bool closed = words.end() != Words(all).end();
  std::string out;
  for (size_t i = 0; i < words.size(); ++i) {
    std::string_view word = words[i];
    if (i + 1 == words.size() && (closed || polite || words.size() >= kFewWords))
      word = without_mark(word, closed ? ",.!?" : ".?");
    if (i > 0) out += ' ';
    // A capital at the beginning says nothing; several make a name.
    const bool begins = i == 0 && is_plain(word) && std::count_if(word.begin(), word.end(), is_upper) == 1;
    out += begins && is_upper(word[0]) ? lowered(word) : std::string(word);
  }
  return out;
}

std::string names_in(std::string_view text) {
  std::string out;
  bool begins = true;  // a sentence
  for (const std::string_view whole : words_of(text)) {
    std::string_view word = whole;
    while (word.size() > 1 && std::string_view(",;:?!.)\"'").find(word.back()) != std::string_view::npos &&
           (is_letter(word[word.size() - 2]) || word.back() == ',' || word.back() == ';'))
      word.remove_suffix(1);
    const auto capitals = std::count_if(word.begin(), word.end(), is_upper);
    const bool says_nothing = begins && capitals == 1 && is_upper(word[0]);  // "Explain …"
    const bool apostrophe = is_letter(word.back()) &&
                            std::all_of(word.begin(), word.end(), [](char c) { return is_letter(c) || c == '\''; });
    const bool plain = (is_plain(word) || apostrophe) && (capitals == 0 || says_nothing || word == "I");
    if (!plain) (out += word) += '\n';
    begins = whole.find_last_of(".?!:") == whole.size() - 1;
  }
  return out;
}

}  // namespace payonce::agent
