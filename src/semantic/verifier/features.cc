#include "semantic/verifier/features.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace payonce::semantic {
namespace {

constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();

float ratio(size_t part, size_t whole) {
  return whole == 0 ? 1.0f : static_cast<float>(part) / static_cast<float>(whole);
}

class Writer {
 public:
  Features out;
  Writer() { out.fill(kMissing); }
  template <typename T>
  void set(Feature feature, T value) {
    out[static_cast<size_t>(feature)] = static_cast<float>(value);
  }
  template <typename T>
  void low_high(Feature low, Feature high, T a, T b) {
    set(low, std::min(a, b));
    set(high, std::max(a, b));
  }
};

// Which kind of question: questions of two kinds rarely share an answer.
int question_class(const Text& text) {
  static constexpr std::array<std::string_view, 9> kWords = {"what", "which", "who",  "where", "when",
                                                             "why",  "how",   "whom", "whose"};
  if (text.first_question.empty()) return 0;
  const auto found = std::find(kWords.begin(), kWords.end(), text.first_question);
  if (found != kWords.end()) return 1 + static_cast<int>(found - kWords.begin());
  const std::string& modal = text.first_question;
  if (modal == "can" || modal == "could" || modal == "may" || modal == "might") return 10;
  if (modal == "should" || modal == "must") return 11;
  if (modal == "will" || modal == "would" || modal == "shall") return 12;
  if (modal == "do" || modal == "does" || modal == "did") return 13;
  if (modal == "have" || modal == "has" || modal == "had") return 14;
  return 15;
}

size_t longest(const std::vector<const Word*>& words) {
  size_t out = 0;
  for (const Word* word : words) out = std::max(out, word->form.size());
  return out;
}

size_t common(const std::vector<uint32_t>& a, const std::vector<uint32_t>& b) {
  size_t out = 0;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    out += a[i] == b[j] ? 1u : 0u;
    const bool step = a[i] <= b[j];
    j += b[j] <= a[i] ? 1u : 0u;
    i += step ? 1u : 0u;
  }
  return out;
}

void write_words(const Text& a, const Text& b, const Difference& d, Writer& w) {
  const size_t lone_a = d.only_first.size();
  const size_t lone_b = d.only_second.size();
  const size_t both = d.shared + d.typos;
  w.set(Feature::shared_words, d.shared);
  w.low_high(Feature::lone_words_low, Feature::lone_words_high, lone_a, lone_b);
  w.set(Feature::word_overlap, ratio(both, both + lone_a + lone_b));
  w.set(Feature::word_containment, ratio(both, both + std::min(lone_a, lone_b)));
  w.set(Feature::typos, d.typos);
  const size_t trigrams = common(a.trigrams, b.trigrams);
  w.set(Feature::trigram_overlap, ratio(trigrams, a.trigrams.size() + b.trigrams.size() - trigrams));
  w.set(Feature::trigram_containment, ratio(trigrams, std::min(a.trigrams.size(), b.trigrams.size())));
  w.set(Feature::stop_overlap, ratio(d.stop_shared, d.stop_shared + d.stop_first + d.stop_second));
  w.low_high(Feature::lone_stops_low, Feature::lone_stops_high, d.stop_first, d.stop_second);
  w.set(Feature::lone_roles, d.roles);
  w.set(Feature::lone_others, d.others_first + d.others_second);
  w.low_high(Feature::longest_lone_low, Feature::longest_lone_high, longest(d.only_first), longest(d.only_second));
  w.set(Feature::same_order, d.same_order ? 1 : 0);
  w.set(Feature::in_order, d.in_order);
}

void write_conflicts(const Text& a, const Text& b, const Difference& d, Writer& w) {
  w.low_high(Feature::lone_numbers_low, Feature::lone_numbers_high, d.numbers_first, d.numbers_second);
  w.set(Feature::negation_parity, (a.negations + b.negations) % 2);
  w.set(Feature::negations_apart, std::max(a.negations, b.negations) - std::min(a.negations, b.negations));
  w.set(Feature::opposites, d.opposites);
  w.set(Feature::one_sided, d.one_sided);
  w.set(Feature::prefixed, d.prefixed);
  w.low_high(Feature::lone_names_low, Feature::lone_names_high, d.names_first, d.names_second);
  w.set(Feature::swapped, d.swapped);
}

void write_shape(const Text& a, const Text& b, Writer& w) {
  const int kind_a = question_class(a);
  const int kind_b = question_class(b);
  w.low_high(Feature::question_low, Feature::question_high, kind_a, kind_b);
  w.set(Feature::question_differs, kind_a == kind_b ? 0 : 1);
  const size_t words_a = a.words.size();
  const size_t words_b = b.words.size();
  w.low_high(Feature::words_low, Feature::words_high, words_a, words_b);
  w.set(Feature::length_ratio, ratio(std::min(words_a, words_b), std::max(words_a, words_b)));
  w.set(Feature::sentences_high, std::max(a.sentences, b.sentences));
  const bool some = words_a > 0 && words_b > 0;
  w.set(Feature::first_word_equal, some && a.words.front().key == b.words.front().key ? 1 : 0);
  w.set(Feature::last_word_equal, some && a.words.back().key == b.words.back().key ? 1 : 0);
}

void write_tokens(const Tokens& first, const Tokens& second, Writer& w) {
  const auto [a, b] = align(first, second);
  w.low_high(Feature::token_mean_low, Feature::token_mean_high, a.mean, b.mean);
  w.low_high(Feature::token_worst_low, Feature::token_worst_high, a.worst, b.worst);
  w.low_high(Feature::token_missing_low, Feature::token_missing_high, a.missing, b.missing);
  w.low_high(Feature::token_unshared_low, Feature::token_unshared_high, a.unshared, b.unshared);
  w.low_high(Feature::token_mass_low, Feature::token_mass_high, a.unshared_mass, b.unshared_mass);
  w.low_high(Feature::token_most_low, Feature::token_most_high, a.unshared_most, b.unshared_most);
  w.low_high(Feature::token_replaced_low, Feature::token_replaced_high, a.replaced, b.replaced);
  w.set(Feature::token_replaced_worst, std::min(a.replaced_worst, b.replaced_worst));
  w.set(Feature::token_context, std::min(a.in_context, b.in_context));
  w.set(Feature::token_context_worst, std::min(a.in_context_worst, b.in_context_worst));
  w.set(Feature::token_misaligned_high, std::max(a.misaligned, b.misaligned));
  w.set(Feature::token_inverted, std::max(a.inverted, b.inverted));
  w.low_high(Feature::tokens_low, Feature::tokens_high, first.count(), second.count());
}

}  // namespace

Question make_question(std::string_view text, const embed::Embedding& embedding) {
  return {.text = analyse(text), .tokens = quantise(embedding)};
}

Neighbourhood neighbourhood(float cosine, std::span<const Other> others) {
  constexpr float kCrowded = 0.8f;
  Neighbourhood out{.cosine = cosine, .other_cosine = -1, .same_cosine = 0, .votes = 1, .crowd = 0};
  out.crowd = cosine >= kCrowded ? 1.0f : 0.0f;
  for (const Other& other : others) {
    float& nearest = other.same_answer ? out.same_cosine : out.other_cosine;
    nearest = std::max(nearest, other.cosine);
    if (other.same_answer) ++out.votes;
    if (other.cosine >= kCrowded) ++out.crowd;
  }
  return out;
}

Features features(const Question& cached, const Question& asked, const Neighbourhood& near,
                  const Difference& difference) {
  Writer w;
  w.set(Feature::cosine, near.cosine);
  w.set(Feature::margin, near.cosine - near.other_cosine);
  w.set(Feature::same_cosine, near.same_cosine);
  w.set(Feature::votes, near.votes);
  w.set(Feature::crowd, near.crowd);
  write_words(cached.text, asked.text, difference, w);
  write_conflicts(cached.text, asked.text, difference, w);
  write_shape(cached.text, asked.text, w);
  const bool tokens = cached.tokens.count() > 0 && asked.tokens.count() > 0;
  if (tokens && cached.tokens.width == asked.tokens.width) write_tokens(cached.tokens, asked.tokens, w);
  return w.out;
}

}  // namespace payonce::semantic
