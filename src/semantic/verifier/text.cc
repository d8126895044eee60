#include "semantic/verifier/text.h"

#include <algorithm>
#include <array>
#include <map>
#include <span>

#include "base/ascii.h"
#include "semantic/verifier/lexicon.h"
#include "semantic/verifier/words.h"

namespace payonce::semantic {
namespace {

// FNV-1a, 32 bits: keys are compared within one process and in training only; nothing trusts them.
uint32_t hash_of(std::string_view bytes, uint32_t start = 2166136261u) {
  for (const char c : bytes) start = (start ^ static_cast<unsigned char>(c)) * 16777619u;
  return start;
}

bool has_digit(std::string_view form) { return std::any_of(form.begin(), form.end(), base::is_digit); }

bool is_roman(const RawWord& word) {
  return word.upper && word.form.size() <= 4 && word.form.find_first_not_of("ivx") == std::string::npos;
}

// "don't" -> "do not", "what's" -> "what is", "user's" -> "user".
std::vector<RawWord> without_contractions(std::vector<RawWord> words) {
  std::vector<RawWord> out;
  for (RawWord& word : words) {
    const size_t apostrophe = word.form.find('\'');
    if (apostrophe == std::string::npos) {
      out.push_back(std::move(word));
      continue;
    }
    const std::string ending = word.form.substr(apostrophe + 1);
    word.form.resize(apostrophe);
    std::string second;
    if (ending == "t" && word.form.ends_with('n')) {
      second = "not";
      word.form.pop_back();
      if (word.form == "ca") word.form = "can";
      if (word.form == "wo") word.form = "will";
    } else if (ending == "re") {
      second = "are";
    } else if (ending == "m") {
      second = "am";
    } else if (ending == "ve") {
      second = "have";
    } else if (ending == "ll") {
      second = "will";
    } else if (ending == "d") {
      second = "would";
    } else if (ending == "s") {
      const LexiconEntry* entry = Lexicon::english().find(word.form);
      if (entry != nullptr && (entry->classes & (kStop | kWh)) != 0) second = "is";
    } else {
      second = ending;
    }
    if (!word.form.empty()) out.push_back(std::move(word));
    if (!second.empty()) out.push_back({.form = second});
  }
  return out;
}

constexpr size_t kFewWords = 5;
constexpr size_t kWordsAFunctionWord = 8;  // English has one in two or three

using Phrases = std::vector<std::vector<std::string_view>>;

// How many words the longest phrase takes at the beginning (or at the end) of `words`; never all of them.
size_t phrase_size(std::span<const RawWord> words, const Phrases& phrases, bool at_end) {
  size_t best = 0;
  for (const auto& phrase : phrases) {
    if (phrase.size() <= best || phrase.size() >= words.size()) continue;
    const auto part = at_end ? words.last(phrase.size()) : words.first(phrase.size());
    const auto same = [](const RawWord& word, std::string_view form) { return word.form == form; };
    if (std::equal(part.begin(), part.end(), phrase.begin(), same)) best = phrase.size();
  }
  return best;
}

// The question without what is said for politeness before and after it.
std::span<const RawWord> core_of(std::span<const RawWord> words) {
  const Lexicon& lexicon = Lexicon::english();
  while (const size_t size = phrase_size(words, lexicon.openings(), false)) words = words.subspan(size);
  while (const size_t size = phrase_size(words, lexicon.closings(), true)) words = words.first(words.size() - size);
  return words;
}

const LexiconEntry* entry_of(std::string_view form) {
  const Lexicon& lexicon = Lexicon::english();
  if (const LexiconEntry* entry = lexicon.find(form)) return entry;
  if (const LexiconEntry* entry = lexicon.find(lexicon.base_of(form))) return entry;
  // "disabled", "increases": the endings that the stem takes off, put back in the two usual ways. For words of matter
  // alone: "notes" is no "not".
  for (const std::string_view ending : {"s", "es", "d", "ed", "ing"}) {
    if (form.size() < ending.size() + 3 || !form.ends_with(ending)) continue;
    std::string stem(form.substr(0, form.size() - ending.size()));
    if (ending.size() > 1 && stem.size() > 3 && stem.back() == stem[stem.size() - 2] && lexicon.find(stem) == nullptr)
      stem.pop_back();  // "stopped"
    const auto matter = [](const LexiconEntry* entry) {
      return entry != nullptr && entry->classes == 0 && entry->number < 0 ? entry : nullptr;
    };
    if (const LexiconEntry* entry = matter(lexicon.find(stem))) return entry;
    if (const LexiconEntry* entry = ending == "ing" ? matter(lexicon.find(stem + "e")) : nullptr) return entry;
  }
  return nullptr;
}

uint32_t key_of(std::string_view form, const LexiconEntry* entry) {
  if (entry != nullptr && entry->meaning != 0) return hash_of("meaning", entry->meaning * 2654435761u);
  if (entry != nullptr && entry->number >= 0) return hash_of(std::to_string(entry->number));
  const std::string_view base = Lexicon::english().base_of(form);
  return hash_of(Lexicon::english().is_base(form) ? std::string(form) : stem_of(base));
}

// "1st" -> "1", "v3" -> "3", "10.0" stays: forms of one number.
std::string number_form(std::string_view form) {
  static constexpr std::array<std::string_view, 4> kOrdinals = {"st", "nd", "rd", "th"};
  for (const auto ordinal : kOrdinals)
    if (form.size() > 2 && form.ends_with(ordinal) && has_digit(form.substr(form.size() - 3, 1)))
      return std::string(form.substr(0, form.size() - 2));
  if (form.size() > 1 && form[0] == 'v' && has_digit(form.substr(1, 1))) return std::string(form.substr(1));
  return std::string(form);
}

std::string date_form(std::string_view form) {
  static constexpr std::string_view kFull =
      "january february march april june july august september october november december monday tuesday wednesday "
      "thursday friday saturday sunday";
  const size_t at =
      form.size() < 3 ? std::string_view::npos : (std::string(" ").append(kFull)).find(" " + std::string(form));
  return at == std::string_view::npos ? std::string(form) : std::string(kFull.substr(at, 3));
}

class Analyser {
 public:
  Text run(std::string_view bytes) {
    RawText raw = split_words(bytes);
    out_.complete = raw.complete;
    out_.sentences = static_cast<uint32_t>(raw.sentences);
    const std::vector<RawWord> words = without_contractions(std::move(raw.words));
    out_.cased = is_cased(words);
    out_.english = is_english(words);
    const std::span<const RawWord> core = core_of(words);
    out_.politeness = static_cast<uint32_t>(words.size() - core.size());
    for (size_t i = 0; i < core.size();) i += add(core, i);
    finish(core);
    return std::move(out_);
  }

 private:
  // Whether the writer uses capitals, and not for every word.
  static bool is_cased(const std::vector<RawWord>& words) {
    size_t capitals = 0;
    size_t plain = 0;
    for (const RawWord& word : words) {
      if (word.begins || word.form.size() < 2 || has_digit(word.form)) continue;
      ++(word.capital ? capitals : plain);
    }
    return plain > 0 && capitals <= 2 * plain;
  }

  // Another script, or hardly a function word among several words. A few words alone cannot tell.
  static bool is_english(const std::vector<RawWord>& words) {
    size_t foreign = 0, functional = 0;
    for (const RawWord& word : words) {
      const auto high = static_cast<size_t>(
          std::count_if(word.form.begin(), word.form.end(), [](char c) { return !base::is_ascii(c); }));
      if (2 * high > word.form.size()) ++foreign;
      const LexiconEntry* entry = Lexicon::english().find(word.form);
      if (entry != nullptr && (entry->classes & (kStop | kWh | kModal | kRole | kNegation)) != 0) ++functional;
    }
    if (3 * foreign > words.size()) return false;
    return words.size() < kFewWords || kWordsAFunctionWord * functional >= words.size();
  }

  // Adds the word or phrase at `at`; returns how many words it takes.
  size_t add(std::span<const RawWord> words, size_t at) {
    const Lexicon& lexicon = Lexicon::english();
    if (at + 1 < words.size()) {
      const std::string two = words[at].form + " " + words[at + 1].form;
      if (const LexiconEntry* entry = lexicon.find(two)) return push(words[at], two, entry), 2;
      if (const LexiconEntry* entry = split_verb(words, at)) {
        push(words[at], words[at].form, entry);
        return 1;
      }
    }
    push(words[at], words[at].form, entry_of(words[at].form));
    return 1;
  }

  // "turn notifications on": the particle stands up to four words behind its verb.
  static const LexiconEntry* split_verb(std::span<const RawWord> words, size_t at) {
    const std::string& verb = words[at].form;
    if (verb != "turn" && verb != "switch" && verb != "turning" && verb != "switching") return nullptr;
    for (size_t i = at + 1; i < words.size() && i <= at + 5; ++i)
      if (words[i].form == "on" || words[i].form == "off") return Lexicon::english().find("turn " + words[i].form);
    return nullptr;
  }

  void push(const RawWord& raw, std::string_view form, const LexiconEntry* entry) {
    Word word{.form = std::string(form.substr(0, kMaxWordBytes)), .key = key_of(form, entry)};
    word.classes = entry == nullptr ? uint16_t{0} : entry->classes;
    word.number = has_digit(form) || is_roman(raw) || (entry != nullptr && entry->number >= 0);
    if (form == "may" && raw.capital && !raw.begins) word.classes = kDate;
    if (form == "us" && raw.upper) {
      entry = Lexicon::english().find("america");
      word.classes = 0;
      word.key = key_of("america", entry);
    }
    word.capital = out_.cased && (raw.upper || (raw.capital && !raw.begins)) && form != "i" &&
                   (word.classes & (kStop | kWh | kModal | kDate)) == 0 && !word.number;
    if (has_digit(form)) word.key = hash_of(number_form(form));
    if ((word.classes & kDate) != 0) word.key = hash_of(date_form(form));
    if (word.number || (word.classes & kDate) != 0) out_.numbers.push_back(word.key);
    if ((word.classes & kNegation) != 0 && !is_idle_not()) ++out_.negations;
    if (out_.first_question.empty() && (word.classes & (kWh | kModal)) != 0) out_.first_question = form;
    if (entry != nullptr && entry->contrast != 0) poles_[entry->contrast] |= entry->pole;
    out_.words.push_back(std::move(word));
  }

  // "or not", "if not", "why not": the question stays what it is.
  bool is_idle_not() const {
    if (out_.words.empty()) return false;
    const std::string& before = out_.words.back().form;
    return before == "or" || before == "if" || before == "why" || before == "whether";
  }

  void finish(std::span<const RawWord> core) {
    std::sort(out_.numbers.begin(), out_.numbers.end());
    for (const auto& [contrast, poles] : poles_) out_.poles.push_back({contrast, poles});
    std::string text = " ";
    for (const RawWord& word : core) (text += word.form) += ' ';
    for (size_t i = 0; i + 3 <= text.size(); ++i)
      out_.trigrams.push_back(hash_of(std::string_view(text).substr(i, 3)));
    std::sort(out_.trigrams.begin(), out_.trigrams.end());
    out_.trigrams.erase(std::unique(out_.trigrams.begin(), out_.trigrams.end()), out_.trigrams.end());
  }

  Text out_;
  std::map<uint16_t, uint16_t> poles_;
};

}  // namespace

Text analyse(std::string_view text) { return Analyser().run(text); }

}  // namespace payonce::semantic
