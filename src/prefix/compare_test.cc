#include "prefix/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "prefix/hash_fixture.h"
#include "prefix/optimizer_fixture.h"

namespace payonce::prefix {
namespace {

using fixture::Session;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> differences(const std::string& before, const std::string& now, uint32_t* common = nullptr) {
  const auto a = llm::parse_request(llm::Dialect::kAnthropicMessages, base::Bytes(before));
  const auto b = llm::parse_request(llm::Dialect::kAnthropicMessages, base::Bytes(now));
  const auto prompt_a = read_prompt(*a, kHash), prompt_b = read_prompt(*b, kHash);
  const Comparison found = compare(*prompt_a, *prompt_b, kHash);
  if (common != nullptr) *common = found.common_tokens;
  std::vector<std::string> out;
  for (const Difference& difference : found.differences) {
    out.push_back(difference.path + ": " + difference.what);
    EXPECT_LT(difference.byte_offset, static_cast<int64_t>(now.size()));
  }
  return out;
}

TEST(CompareTest, EqualRequestsDifferInNothing) {
  uint32_t common = 0;
  EXPECT_THAT(differences(Session().body(2), fixture::Respeller(3)(Session().body(2)), &common), IsEmpty());
  EXPECT_GT(common, 500u);
}

TEST(CompareTest, EachPartThatDiffersIsNamed) {
  Session other;
  other.model = "claude-opus-5";
  other.system += "One more.\n";
  std::swap(other.tools[0], other.tools[1]);
  EXPECT_THAT(differences(Session().body(2), other.body(2, R"(,"temperature":1)")),
              ElementsAre("model: another value", "temperature: not there before", "tools: other order",
                          "system: text differs"));
  EXPECT_THAT(differences(Session().body(1), Session().body(2)),
              ElementsAre("messages[1].content[0].text: not there before"));
}

TEST(CompareTest, TheFirstByteThatDiffersIsShown) {
  const std::string before = R"({"messages":[{"role":"user","content":"time 10:15"}]})";
  const std::string now = R"({"messages":[{"role":"user","content":"time 10:16"}]})";
  const auto a = llm::parse_request(llm::Dialect::kAnthropicMessages, base::Bytes(before));
  const auto b = llm::parse_request(llm::Dialect::kAnthropicMessages, base::Bytes(now));
  const auto prompt_a = read_prompt(*a, kHash), prompt_b = read_prompt(*b, kHash);
  const Comparison found = compare(*prompt_a, *prompt_b, kHash);
  ASSERT_EQ(found.differences.size(), 1u);
  EXPECT_EQ(found.differences[0].byte_offset, static_cast<int64_t>(now.find('6')));
}

}  // namespace
}  // namespace payonce::prefix
