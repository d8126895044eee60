#include "semantic/verifier/lexicon.h"

#include "base/ascii.h"
#include "semantic/verifier/lexicon_words.h"

namespace payonce::semantic {
namespace {

template <typename Visit>
void each(std::string_view list, char separator, const Visit& visit) {
  while (!list.empty()) {
    const size_t end = std::min(list.find(separator), list.size());
    const std::string_view item = base::trimmed(list.substr(0, end));
    if (!item.empty()) visit(item);
    list.remove_prefix(std::min(end + 1, list.size()));
  }
}

std::vector<std::vector<std::string_view>> phrases(std::string_view list) {
  std::vector<std::vector<std::string_view>> out;
  each(list, ',', [&](std::string_view phrase) {
    each(phrase, ' ', [&, words = &out.emplace_back()](std::string_view word) { words->push_back(word); });
  });
  return out;
}

}  // namespace

const Lexicon& Lexicon::english() {
  static const Lexicon lexicon;
  return lexicon;
}

Lexicon::Lexicon() : openings_(phrases(words::kOpenings)), closings_(phrases(words::kClosings)) {
  add_classes(words::kStop, kStop);
  add_classes(words::kNegation, kNegation | kStop);
  add_classes(words::kDate, kDate);
  add_classes(words::kWh, kWh);
  add_classes(words::kModal, kModal);
  add_classes(words::kRole, kRole | kStop);
  add_classes(words::kEither, kEither | kStop);
  add_classes(words::kOther, kOther | kStop);
  int16_t number = 2;
  each(words::kNumbers, ' ', [&](std::string_view word) { entries_[std::string(word)].number = number++; });
  add_contrasts();
  add_meanings();
  each(words::kIrregular, ' ', [&](std::string_view pair) {
    const size_t colon = pair.find(':');
    bases_[pair.substr(0, colon)] = pair.substr(colon + 1);
  });
}

void Lexicon::add_classes(std::string_view list, uint16_t classes) {
  each(list, ' ', [&](std::string_view word) { entries_[std::string(word)].classes |= classes; });
}

void Lexicon::add_contrasts() {
  uint16_t contrast = 0;
  each(words::kContrasts, '\n', [&](std::string_view line) {
    ++contrast;
    uint16_t pole = 1;
    each(line, '|', [&](std::string_view words) {
      ++meanings_;
      each(words, ',', [&](std::string_view word) {
        LexiconEntry& entry = entries_[std::string(word)];
        if (entry.contrast != 0) return;  // the first line that names a word has it
        entry.contrast = contrast;
        entry.pole = pole;
        entry.meaning = meanings_;
      });
      pole = static_cast<uint16_t>(pole << 1);
    });
  });
}

void Lexicon::add_meanings() {
  each(words::kMeanings, '\n', [&](std::string_view line) {
    // A line may continue a pole: words of a pole keep their meaning, and give it to the others.
    uint16_t meaning = 0;
    each(line, ',', [&](std::string_view word) {
      const LexiconEntry* known = find(word);
      if (meaning == 0 && known != nullptr) meaning = known->meaning;
    });
    if (meaning == 0) meaning = ++meanings_;
    each(line, ',', [&](std::string_view word) {
      LexiconEntry& entry = entries_[std::string(word)];
      if (entry.meaning == 0) entry.meaning = meaning;
    });
  });
}

const LexiconEntry* Lexicon::find(std::string_view form) const {
  const auto found = entries_.find(form);
  return found == entries_.end() ? nullptr : &found->second;
}

std::string_view Lexicon::base_of(std::string_view form) const {
  const auto found = bases_.find(form);
  return found == bases_.end() ? form : found->second;
}

}  // namespace payonce::semantic
