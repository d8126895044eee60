#include "prefix/ping_request.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "prefix/hash_fixture.h"

namespace payonce::prefix {
namespace {

constexpr std::string_view kMark = R"("cache_control":{"type":"ephemeral"})";

std::string ping_of(std::string_view body, llm::Dialect dialect = llm::Dialect::kAnthropicMessages) {
  const auto request = llm::parse_request(dialect, base::Bytes::copy(body));
  EXPECT_TRUE(request.has_value());
  const auto prompt = read_prompt(*request, kHash);
  EXPECT_TRUE(prompt.has_value());
  return ping_request(*prompt).value_or("");
}

std::string conversation(std::string_view more, std::string_view messages) {
  return fmt::format(R"({{"model":"claude-x", "max_tokens":500,{}"system":"s", "messages":[{}]}})", more, messages);
}

std::string marked(std::string_view text) { return fmt::format(R"({{"type":"text","text":"{}",{}}})", text, kMark); }

TEST(PingRequest, KeepsEveryByteUpToTheLastMarkAndAsksForNoAnswer) {
  const std::string first = fmt::format(R"({{"role":"user", "content":[{}]}})", marked("a"));
  const std::string rest = R"(,{"role":"assistant","content":"b"},{"role":"user","content":"c"})";
  EXPECT_EQ(ping_of(conversation(R"("stream":true,)", first + rest)),
            fmt::format(R"({{"model":"claude-x", "max_tokens":0,"system":"s", "messages":[{}]}})", first));
}

TEST(PingRequest, CutsTheMessageBehindTheMark) {
  const std::string tail = R"(, {"type":"text","text":"volatile"}], "x":1})";
  EXPECT_EQ(
      ping_of(conversation("", fmt::format(R"({{"role":"user","content":[{}{})", marked("a"), tail))),
      fmt::format(
          R"({{"model":"claude-x", "max_tokens":0,"system":"s", "messages":[{{"role":"user","content":[{}], "x":1}}]}})",
          marked("a")));
}

TEST(PingRequest, EachToolsCallKeepsItsResult) {
  const std::string calls =
      R"({"role":"user","content":"q"},{"role":"assistant","content":[{"type":"tool_use","id":"1",)"
      R"("name":"f","input":{}},{"type":"tool_use","id":"2","name":"f","input":{}}]},)";
  const std::string results = fmt::format(
      R"({{"role":"user","content":[{{"type":"tool_result","tool_use_id":"1",{}}},{{"type":"tool_result","tool_use_id":"2"}}]}})",
      kMark);
  const std::string ping = ping_of(conversation("", calls + results + R"(,{"role":"user","content":"later"})"));
  EXPECT_NE(ping.find(results + "]}"), std::string::npos) << ping;
}

TEST(PingRequest, DoesNotEndWithAnAssistantsMessage) {
  const std::string messages = fmt::format(
      R"({{"role":"user","content":"q"}},{{"role":"assistant","content":[{}]}},{{"role":"user","content":"next"}})",
      marked("a"));
  const std::string ping = ping_of(conversation("", messages + R"(,{"role":"assistant","content":"z"})"));
  EXPECT_NE(ping.find(messages + "]}"), std::string::npos) << ping;
}

TEST(PingRequest, AMarkBeforeTheMessagesNeedsNoneOfThem) {
  EXPECT_EQ(
      ping_of(fmt::format(
          R"({{"system":[{}],"messages":[{{"role":"user","content":"a secret"}}],"max_tokens":9,"model":"claude-x"}})",
          marked("s"))),
      fmt::format(
          R"({{"system":[{}],"messages":[{{"role":"user","content":"-"}}],"max_tokens":0,"model":"claude-x"}})",
          marked("s")));
}

TEST(PingRequest, TheAutomaticMarkKeepsAllOfIt) {
  const std::string messages = R"({"role":"user","content":"a"},{"role":"assistant","content":"b"})";
  const std::string ping = ping_of(conversation(fmt::format("{},", kMark), messages));
  EXPECT_EQ(ping, fmt::format(R"({{"model":"claude-x", "max_tokens":0,{},"system":"s", "messages":[{}]}})", kMark,
                              messages));
}

TEST(PingRequest, AsksForOneTokenWhereNoneIsRefused) {
  const std::string message = fmt::format(R"({{"role":"user","content":[{}]}})", marked("a"));
  for (const char* more : {R"("thinking":{"type":"adaptive"},)", R"("tool_choice":{"type":"any"},)",
                           R"("output_config":{"format":{}},)"})
    EXPECT_NE(ping_of(conversation(more, message)).find(R"("max_tokens":1,)"), std::string::npos) << more;
  for (const char* more : {R"("thinking":{"type":"disabled"},)", R"("tool_choice":{"type":"auto"},)",
                           R"("output_config":{"effort":"low"},)"})
    EXPECT_NE(ping_of(conversation(more, message)).find(R"("max_tokens":0,)"), std::string::npos) << more;
}

TEST(PingRequest, ThereIsNoneWhereItWouldNotBeCheapOrNotBeHarmless) {
  const std::string message = fmt::format(R"({{"role":"user","content":[{}]}})", marked("a"));
  EXPECT_NE(ping_of(conversation("", message)), "");
  for (const char* more :
       {R"("thinking":{"type":"enabled","budget_tokens":100},)", R"("mcp_servers":[],)", R"("container":"c",)",
        R"("cache_control":{"type":"ephemeral","ttl":"1h"},)", R"("context_management":{},)"})
    EXPECT_EQ(ping_of(conversation(more, message)), "") << more;
  EXPECT_EQ(ping_of(conversation("", R"({"role":"user","content":"no mark"})")), "");
  EXPECT_EQ(ping_of(R"({"model":"claude-x","messages":[{"role":"user","content":[{"type":"text","text":"a",)"
                    R"("cache_control":{"type":"ephemeral"}}]}]})"),
            "");  // no max_tokens
  EXPECT_EQ(ping_of(conversation("", R"({"role":"user","content":[{"type":"text","text":"a",)"
                                     R"("cache_control":{"type":"ephemeral","ttl":"1h"}}]})")),
            "");
  EXPECT_EQ(ping_of(conversation("", message), llm::Dialect::kOpenAiChat), "");
}

}  // namespace
}  // namespace payonce::prefix
