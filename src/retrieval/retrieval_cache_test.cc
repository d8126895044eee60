#include "retrieval/retrieval_cache.h"

#include <gtest/gtest.h>

#include <cmath>

namespace payonce::retrieval {
namespace {

StoredListPtr list(const std::string& key, size_t bytes = 100, std::vector<float> vector = {},
                   int64_t expires = 1000) {
  auto out = std::make_shared<StoredList>();
  out->key = key;
  out->body = base::Bytes(std::string(bytes, 'x'));
  out->created_ms = 0, out->expires_ms = expires;
  out->vector = std::move(vector);
  return out;
}

struct RetrievalCacheTest : testing::Test {
  base::Metrics metrics;
  RetrievalCache cache{64 << 10, metrics};
  GroupKey group{.id = "g", .scope = "s", .versions = "kb=1", .epoch = 1};
};

TEST_F(RetrievalCacheTest, ANewEpochEmptiesTheGroupAndAnOlderListIsNotTaken) {
  cache.insert(group, list("k"));
  EXPECT_TRUE(cache.find(group, "k", 0).list);
  GroupKey later = group;
  later.epoch = 2;
  EXPECT_EQ(cache.find(later, "k", 0).why, Miss::kEpoch);
  EXPECT_EQ(cache.stats().entries, 0U);
  cache.insert(later, list("l"));
  cache.insert(group, list("k"));  // read before the write, come back after it
  EXPECT_FALSE(cache.find(later, "k", 0).list);
  EXPECT_TRUE(cache.find(later, "l", 0).list);
  EXPECT_EQ(cache.stats().entries, 1U);
}

TEST_F(RetrievalCacheTest, AListEndsWithItsTime) {
  cache.insert(group, list("k", 100, {1, 0}, 1000));
  EXPECT_TRUE(cache.find(group, "k", 999).list);
  EXPECT_TRUE(cache.near(group, {1, 0}, 3, 1000).empty());
  EXPECT_EQ(cache.find(group, "k", 1000).why, Miss::kExpired);
  EXPECT_EQ(cache.stats().bytes, 0U);
}

TEST_F(RetrievalCacheTest, TheListUnusedLongestGoesFirstAndMemoryIsBounded) {
  for (int i = 0; i < 30; ++i)
    cache.insert(group, list("k" + std::to_string(i), 4000,
                             {std::cos(0.1F * static_cast<float>(i)), std::sin(0.1F * static_cast<float>(i))}));
  EXPECT_LE(cache.stats().bytes, 64U << 10);
  EXPECT_FALSE(cache.find(group, "k0", 0).list);
  EXPECT_TRUE(cache.find(group, "k29", 0).list);
  EXPECT_EQ(cache.near(group, {std::cos(2.9F), std::sin(2.9F)}, 1, 0).front().list->key, "k29");
  cache.insert(group, list("huge", 32 << 10));
  EXPECT_FALSE(cache.find(group, "huge", 0).list);
}

TEST_F(RetrievalCacheTest, AnEqualQueryTakesThePlaceOfTheOlder) {
  cache.insert(group, list("k", 100, {1, 0}));
  cache.insert(group, list("k", 200, {1, 0}));
  EXPECT_EQ(cache.stats().entries, 1U);
  EXPECT_EQ(cache.find(group, "k", 0).list->body.size(), 200U);
  EXPECT_EQ(cache.near(group, {1, 0}, 5, 0).size(), 1U);
}

TEST_F(RetrievalCacheTest, NeighboursAreOfTheGroupAndOfTheSameDimensions) {
  GroupKey other = group;
  other.id = "h";
  cache.insert(group, list("near", 100, {1, 0.1F}));
  cache.insert(group, list("far", 100, {-1, 1}));
  cache.insert(group, list("longer", 100, {1, 0, 0}));
  cache.insert(other, list("theirs", 100, {1, 0}));
  const auto got = cache.near(group, {1, 0}, 5, 0);
  ASSERT_EQ(got.size(), 2U);
  EXPECT_EQ(got[0].list->key, "near");
  EXPECT_GT(got[0].cosine, 0.99F);
  EXPECT_TRUE(cache.near(group, {1, 0, 0}, 5, 0).empty());
}

TEST_F(RetrievalCacheTest, PurgesByScopeAndVersion) {
  GroupKey other{.id = "h", .scope = "t", .versions = "kb=2", .epoch = 1};
  cache.insert(group, list("k"));
  cache.insert(other, list("k"));
  EXPECT_EQ(cache.purge([](std::string_view scope, std::string_view, int64_t) { return scope == "t"; }), 1U);
  EXPECT_TRUE(cache.find(group, "k", 0).list);
  EXPECT_FALSE(cache.find(other, "k", 0).list);
}

}  // namespace
}  // namespace payonce::retrieval
