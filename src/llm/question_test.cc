#include "llm/question.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace payonce::llm {
namespace {

std::optional<std::string> asked(Dialect dialect, std::string_view body) {
  const auto request = parse_request(dialect, base::Bytes::copy(body));
  if (!request) throw std::runtime_error(request.error().message);
  const auto found = question_of(*request);
  if (!found) return std::nullopt;
  EXPECT_EQ(request->tape.decoded(body, found->node), found->text);
  return found->text;
}
std::optional<std::string> chat(std::string_view messages) {
  return asked(Dialect::kOpenAiChat, fmt::format(R"({{"model":"m","messages":{}}})", messages));
}
std::optional<std::string> responses(std::string_view input) {
  return asked(Dialect::kOpenAiResponses, fmt::format(R"({{"input":{},"model":"m"}})", input));
}

TEST(Question, IsTheLastUserTurnsText) {
  EXPECT_EQ(chat(R"([{"role":"system","content":"s"},{"role":"user","content":"What\u003f"}])"), "What?");
  EXPECT_EQ(
      chat(R"([{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"content":"c","role":"user"}])"),
      "c");
  EXPECT_EQ(chat(R"([{"role":"user","content":[{"type":"text","text":"Hi"}]}])"), "Hi");
  EXPECT_EQ(asked(Dialect::kAnthropicMessages,
                  R"({"messages":[{"role":"user","content":[{"type":"text","text":"Hi","cache_control":{}}]}]})"),
            "Hi");
  EXPECT_EQ(responses(R"("Hi")"), "Hi");
  EXPECT_EQ(responses(R"([{"role":"user","content":"Hi"}])"), "Hi");
  EXPECT_EQ(responses(R"([{"type":"message","role":"user","content":[{"type":"input_text","text":"Hi"}]}])"), "Hi");
}

TEST(Question, IsNoneInsideAToolLoopNorBesideOtherParts) {
  EXPECT_EQ(chat(R"([{"role":"user","content":"a"},{"role":"tool","tool_call_id":"1","content":"42"}])"),
            std::nullopt);
  EXPECT_EQ(chat(R"([{"role":"user","content":"a"},{"role":"assistant","content":"b"}])"), std::nullopt);
  EXPECT_EQ(chat(R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{}}]}])"),
            std::nullopt);
  EXPECT_EQ(chat(R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}])"),
            std::nullopt);
  EXPECT_EQ(
      asked(Dialect::kAnthropicMessages,
            R"({"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","text":"42"}]}]})"),
      std::nullopt);
  EXPECT_EQ(
      responses(R"([{"role":"user","content":"a"},{"type":"function_call_output","call_id":"1","output":"2"}])"),
      std::nullopt);
  EXPECT_EQ(responses(R"([{"type":"function_call_output","role":"user","content":"2"}])"), std::nullopt);
}

TEST(Question, IsNoneWhereNothingIsAsked) {
  for (const char* messages : {"[]", "null", "\"Hi\"", "[1]", "[{}]", R"([{"role":"user"}])",
                               R"([{"role":"user","content":" \n"}])", R"([{"role":"user","content":7}])",
                               R"([{"role":"user","content":[]}])", R"([{"role":"user","content":["a"]}])"})
    EXPECT_EQ(chat(messages), std::nullopt) << messages;
  EXPECT_EQ(asked(Dialect::kOpenAiCompletions, R"({"prompt":"Once"})"), std::nullopt);
  EXPECT_EQ(asked(Dialect::kOpenAiEmbeddings, R"({"input":"Once"})"), std::nullopt);
}

}  // namespace
}  // namespace payonce::llm
