// Which regions of two rows differ: Myers' O(ND) alignment, so that what is equal behind a difference is found again
// and the next difference is seen, too.  Source: Myers 1986, "An O(ND) difference algorithm and its variations".
// Threads: pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <utility>
#include <vector>

namespace payonce::prefix {

// a[a_begin, a_end) stands where b[b_begin, b_end) does now; either may be empty.
struct Region {
  uint32_t a_begin, a_end, b_begin, b_end;
};

inline constexpr int kMaxEdits = 300;  // elements put in and taken out; beyond, the rest is one region

namespace internal {

inline constexpr int kNowhere = -2;  // a diagonal that cannot be reached

struct Trace {
  std::vector<std::vector<int>> rows;  // for each d: the furthest x of every diagonal, −d … d
};

// Walks back through the trace and gives the regions, in order.
inline std::vector<Region> regions_of(const Trace& trace, int a_size, int b_size, uint32_t offset) {
  std::vector<Region> out;
  int x = a_size, y = b_size;
  const auto add = [&](int x0, int y0, int x1, int y1) {
    const Region step{static_cast<uint32_t>(x0) + offset, static_cast<uint32_t>(x1) + offset,
                      static_cast<uint32_t>(y0) + offset, static_cast<uint32_t>(y1) + offset};
    if (!out.empty() && out.back().a_begin == step.a_end && out.back().b_begin == step.b_end) {
      out.back().a_begin = step.a_begin;
      out.back().b_begin = step.b_begin;
    } else {
      out.push_back(step);
    }
  };
  for (int d = static_cast<int>(trace.rows.size()); d > 0; --d) {
    const std::vector<int>& row = trace.rows[static_cast<size_t>(d - 1)];  // of d − 1 differences
    const auto at = [&](int k) { return std::abs(k) > d - 1 ? kNowhere : row[static_cast<size_t>(k + d - 1)]; };
    const int k = x - y;
    const bool down = k == -d || (k != d && at(k - 1) < at(k + 1));
    const int from_k = down ? k + 1 : k - 1;
    const int from_x = at(from_k), from_y = from_x - from_k;
    add(from_x, from_y, down ? from_x : from_x + 1, down ? from_y + 1 : from_y);
    x = from_x;
    y = from_y;
  }
  std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace internal

// `equal(i, j)`: a[i] == b[j].
template <typename Equal>
std::vector<Region> differing_regions(uint32_t a_size, uint32_t b_size, const Equal& equal) {
  uint32_t front = 0, back = 0;
  while (front < a_size && front < b_size && equal(front, front)) ++front;
  while (back < a_size - front && back < b_size - front && equal(a_size - 1 - back, b_size - 1 - back)) ++back;
  const Region middle{front, a_size - back, front, b_size - back};
  if (middle.a_begin == middle.a_end && middle.b_begin == middle.b_end) return {};
  if (middle.a_begin == middle.a_end || middle.b_begin == middle.b_end) return {middle};
  const int n = static_cast<int>(middle.a_end - front), m = static_cast<int>(middle.b_end - front);
  internal::Trace trace;
  for (int d = 0; d <= std::min(n + m, kMaxEdits); ++d) {
    std::vector<int> row(static_cast<size_t>(2 * d + 1), internal::kNowhere);
    for (int k = -d; k <= d; k += 2) {
      int x = 0;
      if (d > 0) {
        const std::vector<int>& before = trace.rows.back();
        const auto at = [&](int diagonal) {
          return std::abs(diagonal) > d - 1 ? internal::kNowhere : before[static_cast<size_t>(diagonal + d - 1)];
        };
        x = k == -d || (k != d && at(k - 1) < at(k + 1)) ? at(k + 1) : at(k - 1) + 1;
      }
      int y = x - k;
      if (x < 0 || x > n || y < 0 || y > m) continue;
      while (x < n && y < m && equal(front + static_cast<uint32_t>(x), front + static_cast<uint32_t>(y))) ++x, ++y;
      row[static_cast<size_t>(k + d)] = x;
      if (x >= n && y >= m) return internal::regions_of(trace, n, m, front);
    }
    trace.rows.push_back(std::move(row));
  }
  return {middle};
}

}  // namespace payonce::prefix
