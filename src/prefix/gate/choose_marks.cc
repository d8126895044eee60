#include "prefix/gate/choose_marks.h"

#include <algorithm>
#include <limits>

namespace payonce::prefix {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();
constexpr size_t kNone = std::numeric_limits<size_t>::max();

// Best value of a set whose deepest mark is `last`, and the mark before it.
struct Cell {
  double value = kNever;
  size_t before = kNone;
};

std::vector<double> levelled(std::span<const Candidate> candidates) {
  std::vector<double> reuse(candidates.size());
  double deepest = 0;
  for (size_t i = candidates.size(); i-- > 0;) reuse[i] = deepest = std::max(deepest, candidates[i].reuse);
  return reuse;
}

}  // namespace

Choice choose_marks(std::span<const Candidate> candidates, const MarkOptions& options) {
  const size_t count = candidates.size();
  const std::vector<double> reuse = levelled(candidates);
  const auto required = static_cast<size_t>(
      std::find_if(candidates.begin(), candidates.end(), [](const Candidate& c) { return c.required; }) -
      candidates.begin());
  // table[k][i]: k + 1 marks, the deepest at i. A set that jumps over the required position is not built.
  std::vector<std::vector<Cell>> table(options.max_marks, std::vector<Cell>(count));
  for (size_t k = 0; k < options.max_marks; ++k)
    for (size_t i = 0; i < count; ++i) {
      if (k == 0) {
        if (required == count || i <= required) table[k][i].value = options.saving * reuse[i] * candidates[i].tokens;
        continue;
      }
      for (size_t j = 0; j < i; ++j) {
        if (required < count && j < required && required < i) continue;
        const double step = options.saving * reuse[i] * (candidates[i].tokens - candidates[j].tokens);
        if (const double value = table[k - 1][j].value + step; value > table[k][i].value) table[k][i] = {value, j};
      }
    }

  // The write is paid once, up to the deepest mark. Fewer marks win a tie.
  double best = required < count ? kNever : 0;
  size_t best_marks = 0, best_last = kNone;
  for (size_t k = 0; k < options.max_marks; ++k)
    for (size_t i = required < count ? required : 0; i < count; ++i) {
      const uint32_t written = candidates[i].tokens - std::min(candidates[i].tokens, options.read_tokens);
      const double value = table[k][i].value - (options.prices.write - 1) * written;
      if (value > best + 1e-9) best = value, best_marks = k + 1, best_last = i;
    }

  Choice choice{.marks = {}, .saving = best_last == kNone ? 0 : best};
  for (size_t k = best_marks, i = best_last; k-- > 0; i = table[k][i].before)
    choice.marks.push_back(candidates[i].index);
  std::reverse(choice.marks.begin(), choice.marks.end());
  return choice;
}

}  // namespace payonce::prefix
