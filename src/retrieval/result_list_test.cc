#include "retrieval/result_list.h"

#include <gtest/gtest.h>

#include "retrieval/seed.h"

namespace payonce::retrieval {
namespace {

constexpr std::string_view kQdrantA =
    R"({"result":{"points":[{"id":1,"version":0,"score":1.0,"payload":{"t":"a"},"vector":[1.0,0.0]},)"
    R"({"id":"x-2","version":0,"score":0.6,"payload":{},"vector":[0.6,0.8]}]},"status":"ok","time":0.01})";
constexpr std::string_view kQdrantB =
    R"({"result":{"points":[{"id":3,"version":0,"score":1.0,"payload":{},"vector":[0.8,0.6]},)"
    R"({"id":"x-2","version":0,"score":0.96,"payload":{},"vector":[0.6,0.8]}]},"status":"ok","time":0.02})";

TEST(SearchSeeds, ScoresTheUnionWithTheNewVector) {
  const std::vector<float> a = {1, 0}, b = {0.8F, 0.6F}, query = {0.6F, 0.8F};
  const std::vector<Seed> seeds = {{a, kQdrantA}, {b, kQdrantB}};
  const auto got = search_seeds(StoreKind::kQdrant, seeds, query, 2);
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(got->ids, (std::vector<std::string>{"\"x-2\"", "3"}));
  const auto list = parse_list(StoreKind::kQdrant, got->body);
  ASSERT_TRUE(list.has_value());
  EXPECT_NEAR(list->rows[0].score, 1.0, 1e-6);
  EXPECT_NEAR(list->rows[1].score, 0.96, 1e-6);
}

TEST(SearchSeeds, NeedsVectorsEnoughRowsAndAMeasureThatExplainsTheScores) {
  const std::vector<float> a = {1, 0}, query = {0.6F, 0.8F}, other = {0, 1}, longer = {1, 0, 0};
  EXPECT_FALSE(search_seeds(StoreKind::kQdrant, std::vector<Seed>{{a, kQdrantA}}, query, 3).has_value());
  EXPECT_FALSE(search_seeds(StoreKind::kQdrant, std::vector<Seed>{{other, kQdrantA}}, query, 1).has_value());
  EXPECT_FALSE(search_seeds(StoreKind::kQdrant, std::vector<Seed>{{longer, kQdrantA}}, query, 1).has_value());
  EXPECT_FALSE(search_seeds(StoreKind::kHttp, std::vector<Seed>{{a, kQdrantA}}, query, 1).has_value());
  constexpr std::string_view kBare = R"({"result":{"points":[{"id":1,"score":1.0}]}})";
  EXPECT_FALSE(search_seeds(StoreKind::kQdrant, std::vector<Seed>{{a, kBare}}, query, 1).has_value());
  EXPECT_FALSE(search_seeds(StoreKind::kQdrant, std::vector<Seed>{{a, "{"}}, query, 1).has_value());
}

TEST(SearchSeeds, OfChromaKeepItsColumnsAndPutTheNearestFirst) {
  constexpr std::string_view kList =
      R"({"ids":[["a","b"]],"embeddings":[[[1.0,0.0],[0.0,1.0]]],"documents":[["A","B"]],"uris":null,)"
      R"("metadatas":[[null,{"k":1}]],"distances":[[0.0,2.0]],"include":["embeddings","distances"]})";
  const std::vector<float> a = {1, 0}, query = {0, 1};
  const auto got = search_seeds(StoreKind::kChroma, std::vector<Seed>{{a, kList}}, query, 2);
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(got->ids, (std::vector<std::string>{"\"b\"", "\"a\""}));
  EXPECT_NE(got->body.find(R"("documents":[["B","A"]])"), std::string::npos) << got->body;
  EXPECT_NE(got->body.find(R"("uris":null)"), std::string::npos);
  EXPECT_EQ(ids_of(StoreKind::kChroma, got->body), got->ids);
}

TEST(RecallOf, IsTheShareOfTheFullList) {
  const std::vector<std::string> found = {"1", "2"}, full = {"2", "3", "4", "1"};
  EXPECT_EQ(recall_of(found, full), 0.5);
  EXPECT_EQ(recall_of(found, {}), 1);
}

}  // namespace
}  // namespace payonce::retrieval
