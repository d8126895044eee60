// What the verifier's trees decide on: numbers about a pair of questions. All are equal when the two change places.
// The order is the model file's; a change of meaning needs a new name, so that an old model is refused.
// Threads: any.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <span>
#include <string_view>

#include "embed/embedder.h"
#include "semantic/verifier/difference.h"
#include "semantic/verifier/text.h"
#include "semantic/verifier/tokens.h"

namespace payonce::semantic {

// One question, ready to be compared. Kept beside its cache entry; a few KiB.
struct Question {
  Text text;
  Tokens tokens;  // empty when the embedder gives none: features of tokens are then missing
};

Question make_question(std::string_view text, const embed::Embedding& embedding);

// Another of the 5 entries nearest to the asked question, and whether its answer is this entry's.
struct Other {
  float cosine = 0;
  bool same_answer = false;
};

// What the lookup knows beside the two texts. NaN: not known. The trees are trained with and without what may miss.
// That several near entries have one answer, or that the next one has another, tells more than the pair itself: on
// streams it is worth as much as all other features together (REPORT.md).
struct Neighbourhood {
  float cosine = 0;                                              // of the two questions' vectors, 1 for equal ones
  float other_cosine = std::numeric_limits<float>::quiet_NaN();  // nearest entry with another answer; none: -1
  float same_cosine = std::numeric_limits<float>::quiet_NaN();   // nearest other entry with this answer; none: 0
  float votes = std::numeric_limits<float>::quiet_NaN();         // entries with this answer, itself included
  float crowd = std::numeric_limits<float>::quiet_NaN();  // entries at a cosine of 0.8 or more, itself included
};

// `others`: the entries beside this one among the 5 nearest.
Neighbourhood neighbourhood(float cosine, std::span<const Other> others);

// name, and which way it may act: +1 the larger the more likely one answer, -1 the less likely, 0 free. The trees are
// trained under these constraints, which keeps them sane on questions unlike the training data.
// clang-format off
#define PAYONCE_VERIFIER_FEATURES(X)                                                                                \
  X(cosine, 1) X(margin, 0) X(same_cosine, 0) X(votes, 0) X(crowd, 0) X(shared_words, 0) X(lone_words_low, -1)      \
  X(lone_words_high, -1) X(word_overlap, 0) X(word_containment, 0) X(typos, 0) X(trigram_overlap, 0)                \
  X(trigram_containment, 0) X(stop_overlap, 0) X(lone_stops_low, 0) X(lone_stops_high, 0) X(lone_roles, 0)          \
  X(lone_others, 0) X(lone_numbers_low, -1) X(lone_numbers_high, -1) X(negation_parity, -1)                         \
  X(negations_apart, 0) X(opposites, -1) X(one_sided, 0) X(prefixed, -1) X(lone_names_low, -1)                      \
  X(lone_names_high, 0) X(swapped, -1) X(same_order, 0) X(in_order, 0) X(question_low, 0) X(question_high, 0)       \
  X(question_differs, 0) X(words_low, 0) X(words_high, 0) X(length_ratio, 0) X(sentences_high, 0)                   \
  X(longest_lone_low, 0) X(longest_lone_high, 0) X(first_word_equal, 0) X(last_word_equal, 0)                       \
  X(token_mean_low, 0) X(token_mean_high, 0) X(token_worst_low, 0) X(token_worst_high, 0)                           \
  X(token_missing_low, 0) X(token_missing_high, 0) X(token_unshared_low, 0) X(token_unshared_high, 0)               \
  X(token_mass_low, 0) X(token_mass_high, 0) X(token_most_low, 0) X(token_most_high, 0) X(token_replaced_low, 0)    \
  X(token_replaced_high, 0) X(token_replaced_worst, 0) X(token_context, 0) X(token_context_worst, 0)                \
  X(token_misaligned_high, 0) X(token_inverted, 0) X(tokens_low, 0) X(tokens_high, 0)
// clang-format on

enum class Feature : uint16_t {
#define X(name, sign) name,
  PAYONCE_VERIFIER_FEATURES(X)
#undef X
};

struct FeatureInfo {
  std::string_view name;
  int sign;
};
inline constexpr FeatureInfo kFeatures[] = {
#define X(name, sign) {#name, sign},
    PAYONCE_VERIFIER_FEATURES(X)
#undef X
};
inline constexpr size_t kFeatureCount = std::size(kFeatures);

using Features = std::array<float, kFeatureCount>;

// `difference` is difference(cached.text, asked.text). A missing value is NaN.
Features features(const Question& cached, const Question& asked, const Neighbourhood& near,
                  const Difference& difference);

}  // namespace payonce::semantic
