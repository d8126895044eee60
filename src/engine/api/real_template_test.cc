// With the vocabulary and the chat template of a real model, as llama.cpp reads them: what the bytes and the template
// of the other tests leave out.
#include <gtest/gtest.h>

#include "engine/api/api_fixture.h"
#include "engine/model/test_models.h"

namespace payonce::engine {
namespace {

class RealTemplateTest : public ApiTest {
 protected:
  void SetUp() override {
    PAYONCE_NEEDS_MODEL(smol_model(), "./dev setup");
    static const std::unique_ptr<Vocab> kVocab = *Vocab::load(smol_model());
    static const std::unique_ptr<ChatTemplate> kChat = *ChatTemplate::make(*kVocab, "");
    vocab = kVocab.get();
    api = std::make_unique<Api>(Api::Parts{.engine = engine.port(),
                                           .vocab = port_of(*kVocab),
                                           .chat = *kChat,
                                           .model = model,
                                           .pool = *pool,
                                           .clock = clock},
                                limits, context_tokens);
  }
  std::string text_of_prompt(size_t tokens) const {
    std::string out;
    for (size_t i = 0; i < tokens; ++i) out += vocab->piece(asked().prompt[i], true);
    return out;
  }
  const Vocab* vocab = nullptr;
};

TEST_F(RealTemplateTest, MarksStandWhereTheirBlocksEnd) {
  send("/v1/messages", R"({"max_tokens":5,"system":[{"type":"text","text":"You are a guide of the museum of clocks.",
    "cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[
      {"type":"text","text":"Here is the list of all clocks.","cache_control":{"type":"ephemeral"}},
      {"type":"text","text":"Which is the oldest?"}]},{"role":"assistant","content":"The water clock."},
      {"role":"user","content":[{"type":"text","text":"And the newest?","cache_control":{"type":"ephemeral"}}]}]})");
  ASSERT_EQ(engine.requests.size(), 1u);
  const std::vector<CacheMark>& marks = asked().marks;
  ASSERT_EQ(marks.size(), 3u) << text_of_prompt(asked().prompt.size());
  const std::string_view ends[] = {"museum of clocks.", "list of all clocks.", "And the newest?"};
  for (size_t i = 0; i < marks.size(); ++i) {
    const std::string before = text_of_prompt(static_cast<size_t>(marks[i].tokens));
    const size_t block_end = before.rfind(ends[i]);
    ASSERT_NE(block_end, std::string::npos) << before;
    EXPECT_LE(before.size() - block_end - ends[i].size(), std::string_view("<|im_end|>\n<|im_start|>").size())
        << before;
  }
}

TEST_F(RealTemplateTest, AMarkBehindToolsCoversThem) {
  send("/v1/messages", R"({"max_tokens":5,"tools":[{"name":"first_tool","input_schema":{"type":"object"}},
    {"name":"second_tool","input_schema":{"type":"object"},"cache_control":{"type":"ephemeral"}}],
    "messages":[{"role":"user","content":"Hello"}]})");
  ASSERT_EQ(engine.requests.size(), 1u);
  ASSERT_EQ(asked().marks.size(), 1u);
  const std::string before = text_of_prompt(static_cast<size_t>(asked().marks[0].tokens));
  EXPECT_NE(before.find("second_tool"), std::string::npos);
  EXPECT_EQ(before.find("Hello"), std::string::npos);
}

TEST_F(RealTemplateTest, ARequiredCallIsTheWholeAnswer) {
  const std::string tools = with(std::string(kChatBody), "tools", "[" + std::string(kWeatherTool) + "]");
  for (const char* choice : {"\"required\"", R"({"type":"function","function":{"name":"weather"}})"}) {
    engine.requests.clear();
    const auto received = send("/v1/chat/completions", with(tools, "tool_choice", choice));
    ASSERT_EQ(engine.requests.size(), 1u) << received->body();
    auto grammar = Grammar::make(*vocab, asked().grammar);
    ASSERT_TRUE(grammar) << grammar.error().message << asked().grammar.gbnf;
    const auto allows = [&](std::string_view text) {
      const auto copy = (*grammar)->clone();
      const std::vector<int32_t> tokens = vocab->tokenize(text, false, true).value();
      for (const int32_t token : tokens) {
        if (!copy->allows(token)) return false;
        copy->accept(token);
      }
      return true;
    };
    EXPECT_FALSE(allows("The weather in Bonn is"));
    EXPECT_TRUE(allows("<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Bonn\"}}\n</tool_call>"));
    EXPECT_FALSE(allows("<tool_call>\n{\"name\": \"other\""));
  }
}

TEST_F(RealTemplateTest, ACallThatComesInPiecesIsTheSameAsAWholeOne) {
  const std::string body =
      with(with(std::string(kChatBody), "tools", "[" + std::string(kWeatherTool) + "]"), "stream", "true");
  const auto received = send("/v1/chat/completions", body);
  ASSERT_EQ(engine.requests.size(), 1u);
  const std::string text =
      "Let me see.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"B\\\"nn <b>\"}}\n</tool_call>";
  answer_byte_by_byte(text);
  std::string content, arguments, finish;
  size_t calls = 0;
  for (const json::object& chunk : received->events()) {
    const json::object choice = chunk.at("choices").at(0).as_object();
    const json::object delta = choice.at("delta").as_object();
    if (delta.contains("content")) content += delta.at("content").as_string();
    if (choice.at("finish_reason").is_string()) finish = choice.at("finish_reason").as_string();
    if (!delta.contains("tool_calls")) continue;
    const json::object call = delta.at("tool_calls").at(0).as_object();
    calls += call.contains("id");
    arguments += call.at("function").at("arguments").as_string();
  }
  EXPECT_EQ(calls, 1u);
  EXPECT_EQ(finish, "tool_calls");
  EXPECT_EQ(json::parse(arguments), J(R"({"city":"B\"nn <b>"})"));
  EXPECT_TRUE(content.starts_with("Let me see.")) << content;
  EXPECT_EQ(content.find('<'), std::string::npos) << content;
}

TEST_F(RealTemplateTest, AJsonSchemaAndPlainTextAreRead) {
  const auto received =
      send("/v1/chat/completions", with(std::string(kChatBody), "response_format", R"({"type":"json_object"})"));
  ASSERT_EQ(engine.requests.size(), 1u) << received->body();
  EXPECT_FALSE(asked().grammar.gbnf.empty());
  engine.answer(0, R"({"a":1})");
  run();
  EXPECT_EQ(received->object().at("choices").at(0).at("message").at("content"), R"({"a":1})");
  EXPECT_NE(refusal("/v1/chat/completions",
                    with(std::string(kChatBody), "response_format",
                         R"({"type":"json_schema","json_schema":{"name":"x","schema":{"$ref":"#/nowhere"}}})"))
                .size(),
            0u);
}

TEST_F(RealTemplateTest, AnEmptyPromptIsRefusedByAModelThatAddsNothing) {
  EXPECT_NE(refusal("/v1/completions", R"({"prompt":""})").find("is empty"), std::string::npos);
}

}  // namespace
}  // namespace payonce::engine
