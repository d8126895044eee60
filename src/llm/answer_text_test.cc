#include "llm/answer_text.h"

#include <gtest/gtest.h>

namespace payonce::llm {
namespace {

TEST(AnswerText, IsWhatTheDialectsSay) {
  const auto chat = answer_text(Dialect::kOpenAiChat, Form::kJson,
                                R"({"choices":[{"message":{"role":"assistant","content":"Hi"}},{"message":)"
                                R"({"content":[{"type":"text","text":"Ho"}]}}]})");
  ASSERT_TRUE(chat);
  EXPECT_EQ(chat->text, "Hi\nHo");
  EXPECT_FALSE(chat->calls_tools);
  EXPECT_EQ(answer_text(Dialect::kOpenAiCompletions, Form::kJson, R"({"choices":[{"text":"Hi"}]})")->text, "Hi");
  EXPECT_EQ(answer_text(Dialect::kAnthropicMessages, Form::kJson,
                        R"({"content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"Hi"}]})")
                ->text,
            "Hi");
  EXPECT_EQ(answer_text(Dialect::kOpenAiResponses, Form::kJson,
                        R"({"output":[{"type":"reasoning"},{"type":"message","content":[{"type":"output_text",)"
                        R"("text":"Hi"}]}]})")
                ->text,
            "Hi");
}

TEST(AnswerText, OfAStreamIsThatOfTheDocument) {
  const auto stream = answer_text(
      Dialect::kOpenAiChat, Form::kStream,
      "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"role\":"
      "\"assistant\",\"content\":\"Hel\"},\"finish_reason\":null}]}\n\n"
      "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":"
      "\"lo\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
  ASSERT_TRUE(stream) << stream.error().message;
  EXPECT_EQ(stream->text, "Hello");
}

TEST(AnswerText, KnowsACallOfATool) {
  EXPECT_TRUE(answer_text(Dialect::kOpenAiChat, Form::kJson,
                          R"({"choices":[{"message":{"content":null,"tool_calls":[{"id":"1"}]}}]})")
                  ->calls_tools);
  EXPECT_TRUE(
      answer_text(Dialect::kAnthropicMessages, Form::kJson, R"({"content":[{"type":"tool_use"}]})")->calls_tools);
  EXPECT_TRUE(
      answer_text(Dialect::kOpenAiResponses, Form::kJson, R"({"output":[{"type":"function_call"}]})")->calls_tools);
}

TEST(AnswerText, RefusesWhatIsNone) {
  EXPECT_FALSE(answer_text(Dialect::kOpenAiChat, Form::kJson, "[]"));
  EXPECT_EQ(answer_text(Dialect::kOpenAiChat, Form::kJson, R"({"choices":[1,{"message":2}],"content":3})")->text, "");
}

TEST(NormalisedText, DropsSpellingAlone) {
  EXPECT_EQ(normalised_text("  Hello,\n World! "), "hello world");
  EXPECT_EQ(normalised_text("It is 3.5, or -2."), "it is 3.5 or -2");
  EXPECT_NE(normalised_text("It is 35"), normalised_text("It is 3.5"));
  EXPECT_EQ(normalised_text("Größe"), "größe");
}

}  // namespace
}  // namespace payonce::llm
