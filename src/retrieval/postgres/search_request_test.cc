#include "retrieval/postgres/search_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace payonce::retrieval {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string error_of(std::string_view body) {
  const auto got = SearchRequest::parse(body);
  return got ? "" : got.error().message;
}

TEST(SearchRequest, BecomesOneStatementWithParameters) {
  const auto request = SearchRequest::parse(
      R"({"collection":"kb.docs","vector":[1,0.5],"limit":3,"filter":{"lang":"en","year":2024,"gone":null,"ok":true}})");
  ASSERT_TRUE(request.has_value()) << request.error().message;
  const Statement got = to_sql(*request, "embedding", Distance::kCosine);
  EXPECT_EQ(got.sql, R"(SELECT (to_jsonb(t) - CASE WHEN false THEN '' ELSE $2::text END) || )"
                     R"(jsonb_build_object('distance', t."embedding" <=> $1::vector) FROM "kb"."docs" t )"
                     R"(WHERE t."lang" = $3 AND t."year" = $4 AND t."gone" IS NULL AND t."ok" = $5 )"
                     R"(ORDER BY t."embedding" <=> $1::vector LIMIT 3)");
  EXPECT_THAT(got.parameters, ElementsAre("[1,0.5]", "embedding", "en", "2024", "true"));
}

TEST(SearchRequest, CallersTextIsNeverSql) {
  const auto request = SearchRequest::parse(
      R"({"collection":"a\"; DROP TABLE b; --","vector":[1],"filter":{"c\" OR 1=1 --":"'; DROP TABLE b"}})");
  ASSERT_TRUE(request.has_value());
  const Statement got = to_sql(*request, "e", Distance::kL2);
  EXPECT_THAT(got.sql, HasSubstr(R"(FROM "a""; DROP TABLE b; --" t WHERE t."c"" OR 1=1 --" = $3)"));
  EXPECT_EQ(got.parameters[2], "'; DROP TABLE b");
}

TEST(SearchRequest, SaysWhatIsWrong) {
  EXPECT_THAT(error_of("[]"), HasSubstr("JSON object"));
  EXPECT_THAT(error_of(R"({"vector":[1]})"), HasSubstr("collection"));
  EXPECT_THAT(error_of(R"({"collection":"t"})"), HasSubstr("either vector or text"));
  EXPECT_THAT(error_of(R"({"collection":"t","vector":[1],"text":"a"})"), HasSubstr("either vector or text"));
  EXPECT_THAT(error_of(R"({"collection":"t","vector":[1,"2"]})"), HasSubstr("finite numbers"));
  EXPECT_THAT(error_of(R"({"collection":"t","vector":[1e300]})"), HasSubstr("finite numbers"));
  EXPECT_THAT(error_of(R"({"collection":"t","vector":[1],"limit":0})"), HasSubstr("limit"));
  EXPECT_THAT(error_of(R"({"collection":"t","vector":[1],"filter":{"a":[1]}})"), HasSubstr("filter"));
  EXPECT_THAT(error_of(R"({"collection":"t","vector":[1],"where":"1=1"})"), HasSubstr("where"));
  EXPECT_THAT(error_of(R"({"collection":"","vector":[1]})"), HasSubstr("collection"));
}

}  // namespace
}  // namespace payonce::retrieval
