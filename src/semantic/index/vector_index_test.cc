#include "semantic/index/vector_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>

#include "semantic/index/row_kernels.h"

namespace payonce::semantic {
namespace {

std::vector<float> random_vector(std::mt19937& random, size_t dimensions) {
  std::normal_distribution<float> normal;
  std::vector<float> out(dimensions);
  float square = 0;
  for (float& value : out) {
    value = normal(random);
    square += value * value;
  }
  for (float& value : out) value /= std::sqrt(square);
  return out;
}

float dot(const std::vector<float>& a, const std::vector<float>& b) {
  float sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

TEST(RowKernels, AllGiveTheSameIntegers) {
  std::mt19937 random(1);
  for (const size_t stride : {64UL, 384UL, 1024UL}) {
    std::vector<int8_t> query(stride), rows(stride * 37);
    const auto draw = [&](int8_t& value) { value = static_cast<int8_t>(static_cast<int>(random() % 255) - 127); };
    std::for_each(query.begin(), query.end(), draw);
    std::for_each(rows.begin(), rows.end(), draw);
    std::fill_n(rows.begin(), stride, int8_t{-127});  // the extremes
    std::fill_n(rows.begin() + static_cast<ptrdiff_t>(stride), stride, int8_t{127});
    std::vector<int32_t> expected(37);
    for (size_t i = 0; i < 37; ++i)
      for (size_t d = 0; d < stride; ++d) expected[i] += query[d] * rows[i * stride + d];
    int ran = 0;
    for (const char* isa : {"portable", "avx2", "avx512", "neon"})
      if (const RowKernels* kernels = row_kernels(isa)) {
        std::vector<int32_t> out(37);
        kernels->dots(query.data(), rows.data(), stride, 37, out.data());
        EXPECT_EQ(out, expected) << isa;
        ++ran;
      }
    EXPECT_GE(ran, 1);
  }
}

// Against a map of plain vectors, through additions and removals, over the graph's threshold and back.
TEST(VectorIndex, FindsWhatAPlainSearchFinds) {
  constexpr size_t kDimensions = 48, kThreshold = 300;
  std::mt19937 random(2);
  VectorIndex index(kDimensions, kThreshold);
  std::map<uint64_t, std::vector<float>> plain;
  uint64_t next = 1;
  int looked = 0, equal = 0;
  for (int round = 0; round < 3000; ++round) {
    const bool grow = round < 1000 || (round > 2000 && round < 2500);
    const bool adds = (random() % 4 != 0) == grow;
    if (plain.empty() || adds) {
      const auto vector = random_vector(random, kDimensions);
      index.add(next, vector);
      plain[next++] = vector;
    } else {
      auto gone = plain.begin();
      std::advance(gone, random() % plain.size());
      index.remove(gone->first);
      plain.erase(gone);
    }
    ASSERT_EQ(index.size(), plain.size());
    if (round % 10 != 0 || plain.empty()) continue;
    const auto query = random_vector(random, kDimensions);
    const auto found = index.nearest(query, 5);
    ASSERT_EQ(found.size(), std::min<size_t>(5, plain.size()));
    std::vector<std::pair<float, uint64_t>> expected;
    for (const auto& [id, vector] : plain) expected.emplace_back(-dot(query, vector), id);
    std::sort(expected.begin(), expected.end());
    std::set<uint64_t> seen;
    for (size_t i = 0; i < found.size(); ++i) {
      ASSERT_TRUE(plain.contains(found[i].id) && seen.insert(found[i].id).second);
      EXPECT_NEAR(found[i].similarity, dot(query, plain[found[i].id]), 0.01);
      EXPECT_LE(found[i].similarity, found[i == 0 ? 0 : i - 1].similarity);
    }
    ++looked;
    equal += std::fabs(found[0].similarity + expected[0].first) < 0.01F;
  }
  EXPECT_GE(equal, looked * 97 / 100) << "of " << looked;
}

TEST(VectorIndex, AnEmptyOneFindsNothingAndForgetsWhatItNeverHad) {
  VectorIndex index(8);
  index.remove(7);
  EXPECT_TRUE(index.nearest(std::vector<float>(8, 0.1F), 3).empty());
  index.add(7, std::vector<float>(8, 0.0F));  // no direction: near to nothing, but no fault
  EXPECT_EQ(index.nearest(std::vector<float>(8, 0.1F), 3).at(0).similarity, 0);
  index.remove(7);
  EXPECT_EQ(index.size(), 0U);
}

}  // namespace
}  // namespace payonce::semantic
