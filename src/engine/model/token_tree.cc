#include "engine/model/token_tree.h"

#include <algorithm>
#include <numeric>
#include <string_view>

namespace payonce::engine {

TokenTree TokenTree::make(std::span<const std::string> pieces, std::span<const int32_t> apart) {
  TokenTree out;
  std::vector<int32_t> parents(pieces.size(), -1);
  std::vector<int32_t> depths(pieces.size(), 0);
  std::vector<bool> alone(pieces.size(), false);
  for (const int32_t token : apart) alone[static_cast<size_t>(token)] = true;

  std::vector<int32_t> sorted(pieces.size());
  std::iota(sorted.begin(), sorted.end(), 0);
  const auto text = [&](int32_t token) -> std::string_view { return pieces[static_cast<size_t>(token)]; };
  std::sort(sorted.begin(), sorted.end(), [&](int32_t a, int32_t b) { return text(a) < text(b); });
  std::vector<int32_t> beginnings;  // of the token at hand, shortest first
  for (const int32_t token : sorted) {
    const auto place = static_cast<size_t>(token);
    const bool nul = !alone[place] && (text(token).empty() || text(token)[0] == '\0');
    if (nul) out.never = token;
    if (nul || alone[place]) continue;
    while (!beginnings.empty() && (text(beginnings.back()).size() == text(token).size() ||
                                   !text(token).starts_with(text(beginnings.back())))) {
      beginnings.pop_back();
    }
    if (!beginnings.empty()) parents[place] = beginnings.back();
    depths[place] = static_cast<int32_t>(beginnings.size());
    beginnings.push_back(token);
  }

  std::iota(sorted.begin(), sorted.end(), 0);
  std::stable_sort(sorted.begin(), sorted.end(), [&](int32_t a, int32_t b) {
    return depths[static_cast<size_t>(a)] < depths[static_cast<size_t>(b)];
  });
  std::vector<int32_t> place_of(pieces.size());
  for (size_t i = 0; i < sorted.size(); ++i) place_of[static_cast<size_t>(sorted[i])] = static_cast<int32_t>(i);
  for (size_t i = 0; i < sorted.size(); ++i) {
    const auto token = static_cast<size_t>(sorted[i]);
    const int32_t parent = parents[token];
    out.tokens.push_back({sorted[i], parent < 0 ? -1 : place_of[static_cast<size_t>(parent)]});
    const auto depth = static_cast<size_t>(depths[token]);
    if (out.levels.size() <= depth) out.levels.resize(depth + 1, {i, i});
    out.levels[depth].second = i + 1;
  }
  return out;
}

}  // namespace payonce::engine
