#include "semantic/answer_judge/answer_judge.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace payonce::semantic {
namespace {

TEST(JudgeRequest, HoldsWhatTheJudgeMustKnow) {
  const auto body = boost::json::parse(judge_request("m", "Why \"x\"?", "Because ☃.", "So."));
  EXPECT_EQ(body.at("model"), "m");
  EXPECT_EQ(body.at("temperature"), 0);
  const std::string asked(body.at("messages").at(1).at("content").as_string());
  for (const char* part : {"Why \"x\"?", "Because ☃.", "So."}) EXPECT_NE(asked.find(part), std::string::npos);
}

TEST(JudgeRequest, CutsLongAnswersBetweenCharacters) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += "é";
  const auto body = boost::json::parse(judge_request("m", "q", "x" + text, text));  // valid UTF-8, or it throws
  EXPECT_LT(body.at("messages").at(1).at("content").as_string().size(), 17'000U);
}

TEST(JudgeVerdict, IsOneWordOrNone) {
  const auto says = [](const char* text) {
    return judge_verdict(fmt::format(R"({{"choices":[{{"message":{{"content":"{}"}}}}]}})", text));
  };
  EXPECT_EQ(says("SAME"), true);
  EXPECT_EQ(says(" Same."), true);
  EXPECT_EQ(says("different"), false);
  EXPECT_EQ(says("DIFFER"), false);
  EXPECT_EQ(says("same or different"), std::nullopt);
  EXPECT_EQ(says("I cannot say"), std::nullopt);
  EXPECT_EQ(judge_verdict("{}"), std::nullopt);
  EXPECT_EQ(judge_verdict("nonsense"), std::nullopt);
}

TEST(AnswerJudge, NeedsAUrlAndAModel) {
  EXPECT_FALSE(AnswerJudge::make({.url = "http://127.0.0.1:1/v1", .model = "", .key = ""}));
  EXPECT_FALSE(AnswerJudge::make({.url = "", .model = "m", .key = ""}));
  EXPECT_FALSE(AnswerJudge::make({.url = "not a url", .model = "m", .key = ""}));
  EXPECT_TRUE(AnswerJudge::make({.url = "http://127.0.0.1:1/v1", .model = "m", .key = ""}));
}

}  // namespace
}  // namespace payonce::semantic
