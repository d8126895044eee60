#include "semantic/verifier/tokens.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "embed/vector.h"
#include "semantic/verifier/dot.h"

namespace payonce::semantic {
namespace {

constexpr int32_t kFirstWord = 1996;  // "the"; below it are marks and single characters
constexpr int32_t kFirstDigit = 1014;
constexpr int32_t kFirstLetter = 1037;
constexpr float kCarriesMeaning = 0.3f;  // weight from which a token counts for the worst-of features

// cosines[i][j] of the i-th token of one text and the j-th of the other.
using Cosines = std::array<std::array<float, kMaxTokens>, kMaxTokens>;

struct View {
  const Tokens& own;
  const Tokens& other;
  const Cosines& cosines;
  bool turned;  // `own` is the second text: its tokens are columns
  float cosine(size_t i, size_t j) const { return turned ? cosines[j][i] : cosines[i][j]; }
  bool lacked(size_t j) const { return std::find(own.ids.begin(), own.ids.end(), other.ids[j]) == own.ids.end(); }
};

// Sums of weight x value, for means that are `otherwise` when nothing has weight.
struct Mean {
  float sum = 0;
  float weight = 0;
  void add(float value, float w) {
    sum += w * value;
    weight += w;
  }
  float value(float otherwise) const { return weight > 0 ? sum / weight : otherwise; }
};

struct Totals {
  Mean best, unshared, replaced, in_context, misaligned;
};

// Position in the other text where token i has its best equal, or count().
size_t best_equal(const View& view, size_t i) {
  size_t found = view.other.count();
  for (size_t j = 0; j < view.other.count(); ++j) {
    if (view.other.ids[j] != view.own.ids[i]) continue;
    if (found == view.other.count() || view.cosine(i, j) > view.cosine(i, found)) found = j;
  }
  return found;
}

void add_unshared(const View& view, size_t i, float weight, Totals& totals, Side& side) {
  side.unshared_mass += weight;
  side.unshared_most = std::max(side.unshared_most, weight);
  float best = -1;
  for (size_t j = 0; j < view.other.count(); ++j)
    if (view.lacked(j) && token_weight(view.other.ids[j]) > 0) best = std::max(best, view.cosine(i, j));
  if (best < 0) return;
  totals.replaced.add(best, weight);
  if (weight >= kCarriesMeaning) side.replaced_worst = std::min(side.replaced_worst, best);
}

void add_token(const View& view, size_t i, Totals& totals, Side& side) {
  const float weight = token_weight(view.own.ids[i]);
  size_t best = 0;
  for (size_t j = 1; j < view.other.count(); ++j)
    if (view.cosine(i, j) > view.cosine(i, best)) best = j;
  totals.best.add(view.cosine(i, best), weight);
  side.missing += weight * (1 - view.cosine(i, best));
  if (weight >= kCarriesMeaning) side.worst = std::min(side.worst, view.cosine(i, best));
  const size_t equal = best_equal(view, i);
  const bool shared = equal < view.other.count();
  totals.unshared.add(shared ? 0.0f : 1.0f, weight);
  if (!shared) return add_unshared(view, i, weight, totals, side);
  totals.misaligned.add(view.other.ids[best] == view.own.ids[i] ? 0.0f : 1.0f, weight);
  totals.in_context.add(view.cosine(i, equal), weight);
  if (weight >= kCarriesMeaning) side.in_context_worst = std::min(side.in_context_worst, view.cosine(i, equal));
}

float inverted_share(const View& view) {
  size_t pairs = 0;
  size_t inverted = 0;
  size_t before = view.other.count();
  for (size_t i = 0; i < view.own.count(); ++i) {
    const size_t at = token_weight(view.own.ids[i]) > 0 ? best_equal(view, i) : view.other.count();
    if (at == view.other.count()) continue;
    if (before < view.other.count()) {
      ++pairs;
      inverted += at < before ? 1u : 0u;
    }
    before = at;
  }
  return pairs == 0 ? 0.0f : static_cast<float>(inverted) / static_cast<float>(pairs);
}

Side side_of(const View& view) {
  Side side;
  Totals totals;
  for (size_t i = 0; i < view.own.count(); ++i) add_token(view, i, totals, side);
  side.mean = totals.best.value(0);
  side.unshared = totals.unshared.value(0);
  side.replaced = totals.replaced.value(1);
  side.in_context = totals.in_context.value(1);
  side.misaligned = totals.misaligned.value(0);
  side.inverted = inverted_share(view);
  return side;
}

}  // namespace

float token_weight(int32_t id) {
  if (id >= kFirstWord) {
    const float rarity = std::log2(1.0f + static_cast<float>(id - kFirstWord)) / 15.0f;
    return std::min(1.0f, rarity * rarity);
  }
  if (id >= kFirstDigit && id < kFirstDigit + 10) return 0.9f;
  // Single letters are matter ("vitamin c") unless they are words or contractions' ends.
  if (id < kFirstLetter || id >= kFirstLetter + 26) return 0.0f;
  return std::string_view("aidmst").find(static_cast<char>('a' + id - kFirstLetter)) == std::string_view::npos ? 0.5f
                                                                                                               : 0.0f;
}

Tokens quantise(const embed::Embedding& embedding) {
  Tokens out;
  const size_t total = embedding.token_ids.size();
  if (total == 0 || embedding.token_vectors.size() % total != 0 || embedding.token_vectors.empty()) return out;
  const size_t width = embedding.token_vectors.size() / total;
  const size_t count = std::min(total, kMaxTokens);
  out.width = static_cast<int32_t>(width);
  out.ids.assign(embedding.token_ids.begin(), embedding.token_ids.begin() + static_cast<std::ptrdiff_t>(count));
  out.vectors.resize(count * width);
  for (size_t i = 0; i < count; ++i) {
    const std::span<const float> vector = std::span(embedding.token_vectors).subspan(i * width, width);
    out.scales.push_back(embed::quantise_int8(vector, out.vectors.data() + i * width));
  }
  return out;
}

Alignment align(const Tokens& first, const Tokens& second) {
  Cosines cosines;
  const auto width = static_cast<size_t>(first.width);
  for (size_t i = 0; i < first.count(); ++i) {
    for (size_t j = 0; j < second.count(); ++j) {
      const int32_t dot = dot_int8(first.vectors.data() + i * width, second.vectors.data() + j * width, width);
      cosines[i][j] = static_cast<float>(dot) * first.scales[i] * second.scales[j];
    }
  }
  return {.first = side_of({first, second, cosines, false}), .second = side_of({second, first, cosines, true})};
}

}  // namespace payonce::semantic
