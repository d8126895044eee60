#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <set>

#include "demo/recorded_day.h"

namespace payonce::demo {
namespace {

namespace json = boost::json;

constexpr Day kDay{.seed = 3, .begins_ms = 1'793'577'600'000, .questions = 200, .agent_sessions = 3};

std::vector<json::object> rows(const std::string& log) {
  std::vector<json::object> out;
  for (size_t at = 0; at < log.size();) {
    const size_t end = log.find('\n', at);
    out.push_back(json::parse(log.substr(at, end - at)).as_object());
    at = end + 1;
  }
  return out;
}

TEST(Topics, EachSaysSomethingAndIsAskedInSeveralWords) {
  std::set<std::string> all;
  const std::vector<Topic> known = topics();
  EXPECT_GE(known.size(), 18U);
  for (const Topic& topic : known) {
    EXPECT_FALSE(topic.says.empty()) << topic.page;
    EXPECT_GE(topic.questions.size(), 5U) << topic.page;
    for (const std::string& question : topic.questions) EXPECT_TRUE(all.insert(question).second) << question;
  }
}

TEST(Day, IsTheSameForOneSeedAndInTheOrderOfTime) {
  const std::vector<Asked> day = plan(kDay, topics()), again = plan(kDay, topics());
  ASSERT_EQ(day.size(), again.size());
  EXPECT_GE(day.size(), kDay.questions + 8 * kDay.agent_sessions);
  for (size_t i = 0; i < day.size(); ++i) EXPECT_EQ(day[i].request, again[i].request);
  EXPECT_TRUE(
      std::is_sorted(day.begin(), day.end(), [](const Asked& a, const Asked& b) { return a.at_ms < b.at_ms; }));
  Day other = kDay;
  other.seed = 4;
  EXPECT_NE(plan(other, topics())[0].request, day[0].request);
}

TEST(RecordedDay, EveryRequestHasAnAnswerWithUsage) {
  const std::vector<Topic> known = topics();
  const std::vector<Asked> day = plan(kDay, known);
  const std::vector<json::object> log = rows(as_log(day, assumed_sample(known), 1));
  ASSERT_EQ(log.size(), day.size());
  int64_t read = 0;
  for (const json::object& row : log) {
    const json::object& usage = row.at("response").at("usage").as_object();
    const json::value* chat = usage.if_contains("prompt_tokens");
    EXPECT_GT((chat != nullptr ? *chat : usage.at("input_tokens")).as_int64(), 500);
    EXPECT_GT(row.at("latency_ms").as_int64(), 0);
    if (chat != nullptr) read += usage.at("prompt_tokens_details").at("cached_tokens").as_int64();
  }
  EXPECT_GT(read, 0);  // the assistant's prompts begin alike, and its provider caches by itself
}

}  // namespace
}  // namespace payonce::demo
