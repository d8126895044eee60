#include "retrieval/classify.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace payonce::retrieval {
namespace {

const StoreRules kQdrantStore{.name = "q", .kind = StoreKind::kQdrant};
const StoreRules kChromaStore{.name = "c", .kind = StoreKind::kChroma};
const StoreRules kSearchStore{.name = "s",
                              .kind = StoreKind::kHttp,
                              .read = {"POST /*/_search"},
                              .write = {"POST /*/_doc*", "POST /_bulk"},
                              .query_path = {"query", "knn", "v", "vector"}};

Classified of(const StoreRules& rules, std::string_view method, std::string_view target, std::string_view body = "") {
  return classify(rules, {.method = method, .target = target, .body = body});
}

TEST(Qdrant, QueriesByVectorAreOneGroupWhateverTheVector) {
  const auto a = of(kQdrantStore, "POST", "/collections/c/points/query", R"({"query":[1,0.5],"limit":3})");
  const auto b = of(kQdrantStore, "POST", "/collections/c/points/query", R"({"limit":3.0,"query":[2,1e0]})");
  const auto c = of(kQdrantStore, "POST", "/collections/c/points/query", R"({"query":[1,0.50],"limit":4})");
  ASSERT_EQ(a.act, Act::kQuery);
  EXPECT_EQ(a.collection, "c");
  EXPECT_EQ(a.query.vector, (std::vector<float>{1, 0.5F}));
  EXPECT_EQ(a.query.form, b.query.form);
  EXPECT_NE(a.query.asked, b.query.asked);
  EXPECT_NE(a.query.form, c.query.form);
  EXPECT_EQ(a.query.asked, c.query.asked);
}

TEST(Qdrant, FindsTheQueryInEachOfItsForms) {
  const auto nearest =
      of(kQdrantStore, "POST", "/collections/c/points/query", R"({"query":{"nearest":[1,2]},"limit":3})");
  EXPECT_EQ(nearest.query.vector.size(), 2U);
  const auto text =
      of(kQdrantStore, "POST", "/collections/c/points/query", R"({"query":{"text":"a b","model":"m"}})");
  const auto other =
      of(kQdrantStore, "POST", "/collections/c/points/query", R"({"query":{"text":"a b","model":"n"}})");
  EXPECT_EQ(text.query.text, "a b");
  EXPECT_NE(text.query.form, other.query.form);
  const auto named = of(kQdrantStore, "POST", "/collections/c/points/search",
                        R"({"vector":{"name":"title","vector":[1,2]},"limit":3})");
  EXPECT_EQ(named.query.vector.size(), 2U);
  EXPECT_NE(named.query.form.find("title"), std::string::npos);
}

TEST(Qdrant, WhatIsNoPlainVectorIsOneQueryAsAWhole) {
  for (const char* body :
       {R"({"query":42})", R"({"query":[[1,2],[3,4]]})", R"({"prefetch":[],"query":{"fusion":"rrf"}})"}) {
    const auto got = of(kQdrantStore, "POST", "/collections/c/points/query", body);
    EXPECT_EQ(got.act, Act::kQuery) << body;
    EXPECT_EQ(got.query.form, "") << body;
    EXPECT_TRUE(got.query.vector.empty() && got.query.text.empty()) << body;
    EXPECT_FALSE(got.query.asked.empty()) << body;
  }
}

TEST(Qdrant, ARandomSampleIsNeverKept) {
  const auto got = of(kQdrantStore, "POST", "/collections/c/points/query",
                      R"({"prefetch":[{"query":{"sample":"random"}}],"query":[1,2]})");
  EXPECT_EQ(got.act, Act::kPass);
}

TEST(Qdrant, WritesNameTheirCollectionAndUnknownOnesAreWrites) {
  for (const auto& [method, target] :
       std::vector<std::pair<const char*, const char*>>{{"PUT", "/collections/c/points?wait=true"},
                                                        {"POST", "/collections/c/points/delete"},
                                                        {"POST", "/collections/c/points/payload"},
                                                        {"PATCH", "/collections/c"},
                                                        {"DELETE", "/collections/c"},
                                                        {"POST", "/collections/c/something/new"},
                                                        {"PUT", "/collections/%63/points"}}) {
    const auto got = of(kQdrantStore, method, target);
    EXPECT_EQ(got.act, Act::kWrite) << target;
    EXPECT_EQ(got.collection, "c") << target;
  }
  EXPECT_FALSE(of(kQdrantStore, "PUT", "/collections/c/points?wait=true").applied_later);
  EXPECT_TRUE(of(kQdrantStore, "PUT", "/collections/c/points").applied_later);
}

TEST(Qdrant, AliasesAndStrangePathsTouchEveryCollection) {
  for (const char* target : {"/collections/aliases", "/collections/a%2Fb/points", "/collections/../c/points",
                             "//collections/c/points", "/collections", "/snapshots/recover"}) {
    const auto got = of(kQdrantStore, "POST", target);
    EXPECT_EQ(got.act, Act::kWrite) << target;
    EXPECT_EQ(got.collection, "") << target;
  }
}

TEST(Qdrant, OtherReadsPass) {
  for (const char* target : {"/collections/c/points", "/collections/c/points/scroll", "/collections/c/points/count",
                             "/collections/c/points/recommend", "/collections/c/facet"})
    EXPECT_EQ(of(kQdrantStore, "POST", target).act, Act::kPass) << target;
  EXPECT_EQ(of(kQdrantStore, "GET", "/collections/c").act, Act::kPass);
}

constexpr std::string_view kChroma = "/api/v2/tenants/t/databases/d/collections/id-1";

TEST(Chroma, OneVectorIsComparedSeveralAreNot) {
  const std::string query = std::string(kChroma) + "/query";
  const auto one = of(kChromaStore, "POST", query, R"({"query_embeddings":[[1,2]],"n_results":2})");
  ASSERT_EQ(one.act, Act::kQuery);
  EXPECT_EQ(one.collection, "id-1");
  EXPECT_EQ(one.query.vector.size(), 2U);
  EXPECT_EQ(one.query.limit, 2U);
  const auto two = of(kChromaStore, "POST", query, R"({"query_embeddings":[[1,2],[3,4]],"n_results":2})");
  EXPECT_TRUE(two.act == Act::kQuery && two.query.vector.empty() && two.query.form.empty());
  const auto encoded = of(kChromaStore, "POST", query, R"({"query_embeddings":["AACAPw=="],"n_results":2})");
  EXPECT_TRUE(encoded.act == Act::kQuery && encoded.query.text.empty());
}

TEST(Chroma, WritesAreOfTheCollectionAndDeletionByNameOfAll) {
  for (const char* operation : {"/add", "/upsert", "/update", "/delete", "/new"}) {
    const auto got = of(kChromaStore, "POST", std::string(kChroma) + operation);
    EXPECT_EQ(got.act, Act::kWrite);
    EXPECT_EQ(got.collection, "id-1");
    EXPECT_FALSE(got.applied_later);
  }
  EXPECT_EQ(of(kChromaStore, "PUT", kChroma).collection, "id-1");
  const auto deleted = of(kChromaStore, "DELETE", "/api/v2/tenants/t/databases/d/collections/docs");
  EXPECT_TRUE(deleted.act == Act::kWrite && deleted.collection.empty());
  EXPECT_EQ(of(kChromaStore, "POST", "/api/v2/reset").act, Act::kWrite);
  EXPECT_EQ(of(kChromaStore, "POST", "/api/v2/tenants/t/databases/d/collections").act, Act::kPass);
  EXPECT_EQ(of(kChromaStore, "POST", std::string(kChroma) + "/get").act, Act::kPass);
}

TEST(Http, TakesItsPatterns) {
  const auto read =
      of(kSearchStore, "POST", "/docs/_search?size=3", R"({"query":{"knn":{"v":{"vector":[1,2],"k":3}}}})");
  ASSERT_EQ(read.act, Act::kQuery);
  EXPECT_EQ(read.query.vector.size(), 2U);
  EXPECT_EQ(of(kSearchStore, "POST", "/docs/_doc").act, Act::kWrite);
  EXPECT_EQ(of(kSearchStore, "PUT", "/docs").act, Act::kWrite);
  EXPECT_EQ(of(kSearchStore, "POST", "/docs/_count").act, Act::kPass);
  EXPECT_EQ(of(kSearchStore, "GET", "/docs").act, Act::kPass);
  StoreRules without = kSearchStore;
  without.write.clear();
  EXPECT_EQ(of(without, "POST", "/docs/_count").act, Act::kWrite);
}

TEST(Http, AProgramOfAQueryLanguageIsNoTextToCompare) {
  const StoreRules graph{.kind = StoreKind::kHttp, .read = {"POST /v1/graphql"}, .query_path = {"query"}};
  const auto program = of(graph, "POST", "/v1/graphql", R"({"query":"{ Get { A(limit: 3) { b } } }"})");
  EXPECT_TRUE(program.act == Act::kQuery && program.query.text.empty() && program.query.form.empty());
  EXPECT_EQ(of(graph, "POST", "/v1/graphql", R"({"query":"red shoes"})").query.text, "red shoes");
}

TEST(GoodList, ReportsNoError) {
  EXPECT_TRUE(is_good_list(R"({"result":[],"status":"ok"})"));
  EXPECT_TRUE(is_good_list(R"({"data":{},"errors":[]})"));
  for (const char* body : {"", "[]", R"({"errors":[{"message":"x"}]})", R"({"error":"x"})", R"({"timed_out":true})",
                           R"({"code":1100,"message":"x"})", R"({"_shards":{"total":2,"failed":1}})", R"({"a":)"})
    EXPECT_FALSE(is_good_list(body)) << body;
}

RC_GTEST_PROP(Classify, SpellingOfTheBodyDoesNotCount, (std::vector<uint8_t> numbers, uint8_t limit)) {
  RC_PRE(!numbers.empty());
  std::string plain, spaced;
  for (const uint8_t number : numbers) {
    plain += (plain.empty() ? "" : ",") + std::to_string(number);
    spaced += (spaced.empty() ? "" : " ,\n ") + std::to_string(number) + ".0";
  }
  const std::string size = std::to_string(limit);
  const auto a =
      of(kQdrantStore, "POST", "/collections/c/points/query", R"({"query":[)" + plain + R"(],"limit":)" + size + "}");
  const auto b = of(kQdrantStore, "POST", "/collections/c/points/query",
                    R"({ "limit" : )" + size + R"(e0, "qu\u0065ry" : [)" + spaced + "] }");
  RC_ASSERT(a.query.form == b.query.form);
  RC_ASSERT(a.query.asked == b.query.asked);
  RC_ASSERT(a.query.vector == b.query.vector);
}

}  // namespace
}  // namespace payonce::retrieval
