#include "retrieval/seed.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_set>
#include <utility>

#include "retrieval/result_list.h"

namespace payonce::retrieval {
namespace {

constexpr double kScoreTolerance = 1e-3;  // absolute and relative: the stores compute in float

struct Products {
  double dot = 0, left = 0, right = 0, difference = 0;
};

Products products(std::span<const float> a, std::span<const float> b) {
  Products out;
  for (size_t i = 0; i < a.size(); ++i) {
    const auto x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    out.dot += x * y;
    out.left += x * x;
    out.right += y * y;
    out.difference += (x - y) * (x - y);
  }
  return out;
}

double cosine(const Products& p) { return p.left > 0 && p.right > 0 ? p.dot / std::sqrt(p.left * p.right) : 0; }

struct Measure {
  double (*score)(const Products&);
  bool more_is_better;
};

// Qdrant: Cosine, Dot, Euclid. Chroma: cosine, ip, l2 (squared), as distances.
constexpr std::array<Measure, 6> kMeasures = {{{cosine, true},
                                               {[](const Products& p) { return p.dot; }, true},
                                               {[](const Products& p) { return std::sqrt(p.difference); }, false},
                                               {[](const Products& p) { return 1 - cosine(p); }, false},
                                               {[](const Products& p) { return 1 - p.dot; }, false},
                                               {[](const Products& p) { return p.difference; }, false}}};

std::span<const Measure> measures_of(StoreKind kind) {
  return std::span(kMeasures).subspan(kind == StoreKind::kQdrant ? 0 : 3, 3);
}

bool explains(const Measure& measure, const ResultList& list, std::span<const float> query) {
  return std::ranges::all_of(list.rows, [&](const ResultRow& row) {
    if (row.vector.size() != query.size()) return false;
    const double score = measure.score(products(query, row.vector));
    return std::abs(score - row.score) <= kScoreTolerance * (1 + std::abs(row.score));
  });
}

}  // namespace

std::optional<Seeded> search_seeds(StoreKind kind, std::span<const Seed> seeds, std::span<const float> query,
                                   size_t limit) {
  std::vector<ResultList> lists;
  for (const Seed& seed : seeds) {
    auto list = parse_list(kind, seed.body);
    if (!list || seed.query.size() != query.size()) return std::nullopt;
    lists.push_back(*std::move(list));
  }
  const auto measures = measures_of(kind);
  const auto measure = std::ranges::find_if(measures, [&](const Measure& one) {
    for (size_t i = 0; i < lists.size(); ++i)
      if (!explains(one, lists[i], seeds[i].query)) return false;
    return true;
  });
  if (measure == measures.end() || lists.empty() || limit == 0) return std::nullopt;

  std::vector<ResultRow> rows;
  std::unordered_set<std::string> known;
  for (ResultList& list : lists)
    for (ResultRow& row : list.rows)
      if (known.insert(row.id).second) {
        row.score = measure->score(products(query, row.vector));
        rows.push_back(std::move(row));
      }
  if (rows.size() < limit) return std::nullopt;
  std::ranges::stable_sort(rows, [&](const ResultRow& a, const ResultRow& b) {
    return measure->more_is_better ? a.score > b.score : a.score < b.score;
  });
  rows.resize(limit);
  Seeded out;
  for (const ResultRow& row : rows) out.ids.push_back(row.id);
  out.body = render_list(kind, std::move(lists.front().frame), rows);
  return out;
}

double recall_of(std::span<const std::string> found, std::span<const std::string> full) {
  if (full.empty()) return 1;
  const auto hits =
      std::ranges::count_if(full, [&](const std::string& id) { return std::ranges::find(found, id) != found.end(); });
  return static_cast<double>(hits) / static_cast<double>(full.size());
}

}  // namespace payonce::retrieval
