#include "config/retrieval_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace payonce::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct ReadStores {
  std::vector<VectorStoreSettings> stores;
  std::string problems;
};

ReadStores read_stores(std::string_view content) {
  const toml::table root = toml::parse(content);
  base::PosixEnv files;
  Problems problems;
  ReadStores out;
  out.stores =
      read_vector_stores(root, "payonce.toml", [](std::string_view) { return std::nullopt; }, files, problems);
  if (const auto status = problems.status(); !status) out.problems = status.error().message;
  return out;
}

TEST(VectorStores, TakeTheirDefaultsByKindAndKeepTheOrderOfTheFile) {
  const ReadStores got = read_stores(R"([retrieval]
ttl = "5m"
[retrieval.zebra]
kind = "qdrant"
url = "http://127.0.0.1:6333/"
[retrieval.alpha]
kind = "chroma"
url = "http://127.0.0.1:8000"
prefix = "/chroma/"
ttl = "90s"
)");
  ASSERT_EQ(got.problems, "");
  ASSERT_EQ(got.stores.size(), 2U);
  const VectorStoreSettings &zebra = got.stores[0], &alpha = got.stores[1];
  EXPECT_EQ(zebra.prefix, "/retrieval/zebra");
  EXPECT_EQ(zebra.upstream->anthropic_base_url, "http://127.0.0.1:6333");
  EXPECT_TRUE(zebra.one_epoch);
  EXPECT_EQ(zebra.settle_ms, 1000);
  EXPECT_EQ(alpha.prefix, "/chroma");
  EXPECT_FALSE(alpha.one_epoch);
  EXPECT_EQ(alpha.settle_ms, 0);
  EXPECT_EQ(alpha.ttl_s, 90);
}

TEST(VectorStores, OfHttpNameWhatReadsAndWhereTheQueryIs) {
  const ReadStores got = read_stores(R"([retrieval.w]
kind = "http"
url = "http://127.0.0.1:9200"
read = ["POST /*/_search"]
query_path = "query.knn.embedding.vector"
settle = "0s"
)");
  ASSERT_EQ(got.problems, "");
  EXPECT_THAT(got.stores[0].query_path, ElementsAre("query", "knn", "embedding", "vector"));
  EXPECT_THAT(got.stores[0].read, ElementsAre("POST /*/_search"));
  EXPECT_EQ(got.stores[0].settle_ms, 0);
}

TEST(VectorStores, SayWhatIsWrongAndWhere) {
  const ReadStores got = read_stores(R"([retrieval.a]
kind = "quadrant"
url = "http://h"
[retrieval.b]
kind = "qdrant"
url = "http://user:pass@h"
[retrieval.c]
kind = "http"
url = "http://h"
[retrieval.d]
kind = "chroma"
url = "http://h"
prefix = "/v1/chroma"
[retrieval.e]
kind = "qdrant"
url = "http://h"
invalidate = "nothing"
read = ["POST /x"]
[retrieval.f]
kind = "postgres"
url = "postgresql://h/db?password=x"
)");
  for (const char* problem :
       {"retrieval.a.kind' at payonce.toml:2", "retrieval.b.url' at payonce.toml:6", "retrieval.c.read",
        "retrieval.d.prefix' at payonce.toml:13", "retrieval.e.invalidate' at payonce.toml:17",
        "retrieval.e.read' at payonce.toml:18", "retrieval.f.url' at payonce.toml:21"})
    EXPECT_THAT(got.problems, HasSubstr(problem));
}

}  // namespace
}  // namespace payonce::config
