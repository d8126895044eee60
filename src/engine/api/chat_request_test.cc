// Requests of POST /v1/chat/completions: what reaches template and engine, and what is refused.
#include "engine/api/chat_fixture.h"

namespace payonce::engine {
namespace {

class ChatRequestTest : public ApiTest {
 protected:
  std::string refused(std::string_view name, std::string_view value) {
    return refusal(kChatPath, chat_with(name, value));
  }
};

TEST_F(ChatRequestTest, RolesAndPartsReachTheTemplate) {
  send(
      kChatPath,
      R"({"messages":[{"role":"developer","content":"D"},{"role":"user","name":"bob","content":[{"type":"text","text":"a"},
    {"type":"text","text":"b"}]},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function",
        "function":
    {"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c1","content":"r"},{"role":"user",
        "content":"go"}]})");
  ASSERT_EQ(chat.inputs.size(), 1u);
  EXPECT_EQ(json::parse(chat.inputs[0].messages_json), J(R"([{"role":"system","content":"D"},
    {"role":"user","content":"a\nb","name":"bob"},{"role":"assistant","content":"","tool_calls":[{"id":"c1",
        "type":"function",
    "function":{"name":"f","arguments":"{}"}}]},{"role":"tool","content":"r","tool_call_id":"c1"},{"role":"user","content":"go"}])"));
}

TEST_F(ChatRequestTest, WhatThisModelCannotReadIsNamed) {
  EXPECT_EQ(refused("messages", R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}])"),
            "'messages[0].content[0].type' is \"image_url\": this model reads text only");
  EXPECT_EQ(refused("messages", "[]"), "'messages' must be a list of at least one message");
  EXPECT_EQ(refusal(kChatPath, "{}"), "'messages' must be a list of at least one message");
  EXPECT_NE(refused("messages", R"(["x"])").find("'messages[0]' must be an object"), std::string::npos);
  EXPECT_NE(refused("messages", R"([{"role":"king","content":"x"}])").find("'messages[0].role'"), std::string::npos);
  EXPECT_NE(refused("messages", R"([{"role":"user"}])").find("'messages[0].content' is missing"), std::string::npos);
  EXPECT_NE(refused("messages", R"([{"role":"user","content":7}])").find("'messages[0].content'"), std::string::npos);
}

TEST_F(ChatRequestTest, SamplingReachesTheEngine) {
  send(kChatPath, R"({"messages":[{"role":"user","content":"x"}],"temperature":0.5,"top_p":0.9,"top_k":-1,"min_p":0.1,
    "presence_penalty":1,"frequency_penalty":-1,"repetition_penalty":1.1,"logit_bias":{"7":-100,"8":2.5},"seed":42,
    "stop":["a","b"],"stop_token_ids":[3],"min_tokens":2,"ignore_eos":true,"n":3,"best_of":5,"max_completion_tokens":9,
    "logprobs":true,"top_logprobs":4,"unknown":{"x":1},"user":"u"})");
  const Generate& request = asked();
  EXPECT_EQ(request.sampling.temperature, 0.5);
  EXPECT_EQ(request.sampling.top_p, 0.9);
  EXPECT_EQ(request.sampling.top_k, 0);
  EXPECT_EQ(request.sampling.min_p, 0.1);
  EXPECT_EQ(request.sampling.presence_penalty, 1);
  EXPECT_EQ(request.sampling.frequency_penalty, -1);
  EXPECT_EQ(request.sampling.repetition_penalty, 1.1);
  EXPECT_EQ(request.sampling.logit_bias, (std::map<int32_t, double>{{7, -100}, {8, 2.5}}));
  EXPECT_EQ(request.sampling.seed, 42u);
  EXPECT_EQ(request.stopping.strings, (std::vector<std::string>{"a", "b", "<|template_stop|>"}));
  EXPECT_EQ(request.stopping.tokens, std::vector<int32_t>{3});
  EXPECT_EQ(request.stopping.min_tokens, 2);
  EXPECT_TRUE(request.stopping.ignore_eos);
  EXPECT_EQ(request.stopping.max_tokens, 9);
  EXPECT_EQ(request.n, 3);
  EXPECT_EQ(request.best_of, 5);
  EXPECT_EQ(request.logprobs, 4);
}

TEST_F(ChatRequestTest, DefaultsAreThoseOfTheApi) {
  send(kChatPath, with(with(kChat, "temperature", "null"), "stop", "null"));
  EXPECT_EQ(asked().sampling.temperature, 1);
  EXPECT_EQ(asked().sampling.seed, std::nullopt);
  EXPECT_EQ(asked().stopping.max_tokens, 0) << "as much as the context leaves";
  EXPECT_EQ(asked().logprobs, -1);
  EXPECT_EQ(asked().best_of, 0);
  EXPECT_TRUE(chat.inputs[0].parallel_tool_calls);
  EXPECT_TRUE(chat.inputs[0].enable_thinking);
}

TEST_F(ChatRequestTest, ValuesOutOfRangeNameTheirField) {
  const std::pair<const char*, const char*> kWrong[] = {{"temperature", "-0.1"},
                                                        {"temperature", "\"hot\""},
                                                        {"temperature", "101"},
                                                        {"top_p", "0"},
                                                        {"top_p", "1.1"},
                                                        {"top_k", "-2"},
                                                        {"top_k", "1.5"},
                                                        {"min_p", "2"},
                                                        {"presence_penalty", "2.1"},
                                                        {"frequency_penalty", "-3"},
                                                        {"repetition_penalty", "0"},
                                                        {"logit_bias", "{\"x\":1}"},
                                                        {"logit_bias", "{\"259\":1}"},
                                                        {"logit_bias", "{\"1\":101}"},
                                                        {"logit_bias", "[]"},
                                                        {"seed", "1.5"},
                                                        {"seed", "\"s\""},
                                                        {"n", "0"},
                                                        {"n", "129"},
                                                        {"best_of", "0"},
                                                        {"max_tokens", "0"},
                                                        {"max_tokens", "-1"},
                                                        {"max_completion_tokens", "\"9\""},
                                                        {"stop", "7"},
                                                        {"stop", "[\"\"]"},
                                                        {"stop", "[1]"},
                                                        {"stop_token_ids", "[259]"},
                                                        {"min_tokens", "-1"},
                                                        {"ignore_eos", "1"},
                                                        {"top_logprobs", "3"},
                                                        {"logprobs", "3"},
                                                        {"stream", "\"yes\""},
                                                        {"beam_width", "2"},
                                                        {"parallel_tool_calls", "0"},
                                                        {"response_format", "\"json\""},
                                                        {"response_format", "{\"type\":\"xml\"}"},
                                                        {"response_format", "{\"type\":\"json_schema\"}"},
                                                        {"guided_json", "7"},
                                                        {"guided_regex", "\"a\""},
                                                        {"tool_choice", "\"maybe\""},
                                                        {"tool_choice", "\"required\""},
                                                        {"tools", "{}"},
                                                        {"tools", "[{\"type\":\"web_search\"}]"},
                                                        {"tools", "[{\"type\":\"function\",\"function\":{}}]"},
                                                        {"chat_template_kwargs", "7"},
                                                        {"continue_final_message", "true"}};
  for (const auto& [name, value] : kWrong) {
    const std::string message = refused(name, value);
    EXPECT_TRUE(message.starts_with("'" + std::string(name)) || message.find(name) != std::string::npos)
        << name << ": " << value << " -> " << message;
  }
  const auto received = send(kChatPath, chat_with("temperature", "-1"));
  EXPECT_EQ(received->object().at("error"),
            J(R"({"message":"'temperature' must be a number from 0 to 100, but is -1","type":"invalid_request_error",
        "param":"temperature","code":"invalid_request"})"));
}

TEST_F(ChatRequestTest, FieldsThatContradictEachOtherAreRefused) {
  const std::pair<std::string, const char*> kWrong[] = {
      {with(chat_with("n", "3"), "best_of", "2"), "best_of"},
      {with(chat_with("max_tokens", "3"), "max_completion_tokens", "2"), "max_completion_tokens"},
      {with(chat_with("min_tokens", "3"), "max_tokens", "2"), "min_tokens"},
      {with(chat_with("best_of", "3"), "stream", "true"), "stream"},
      {with(chat_with("use_beam_search", "true"), "stream", "true"), "beam"},
      {with(with(chat_with("use_beam_search", "true"), "n", "3"), "beam_width", "2"), "beam_width"},
      {with(with(chat_with("use_beam_search", "true"), "best_of", "3"), "beam_width", "2"), "beam_width"},
      {with(chat_with("guided_json", "{}"), "grammar", "\"root ::= \\\"a\\\"\""), "grammar"},
      {with(chat_with("guided_json", "{}"), "response_format", R"({"type":"json_object"})"), "response_format"},
      {with(tools_body(), "grammar", "\"root ::= \\\"a\\\"\""), "grammar"},
      {with(chat_with("continue_final_message", "true"), "add_generation_prompt", "true"), "add_generation_prompt"},
      {with(tools_body(), "tool_choice", R"({"type":"function","function":{"name":"nobody"}})"), "nobody"}};
  for (const auto& [body, word] : kWrong) EXPECT_NE(refusal(kChatPath, body).find(word), std::string::npos) << body;
}

TEST_F(ChatRequestTest, BeamsAreCountedByEitherName) {
  send(kChatPath, with(with(chat_with("use_beam_search", "true"), "best_of", "4"), "n", "2"));
  send(kChatPath, with(with(with(chat_with("use_beam_search", "true"), "beam_width", "6"), "length_penalty", "0.5"),
                       "early_stopping", "true"));
  EXPECT_TRUE(asked(0).beam_search);
  EXPECT_EQ(asked(0).beams, 4);
  EXPECT_EQ(asked(0).n, 2);
  EXPECT_EQ(asked(0).best_of, 0);
  EXPECT_EQ(asked(1).beams, 6);
  EXPECT_EQ(asked(1).length_penalty, 0.5);
  EXPECT_TRUE(asked(1).early_stopping);
}

TEST_F(ChatRequestTest, APromptBeyondTheContextIsToldWithItsNumbers) {
  context_tokens = 100;
  make();
  const auto received = send(kChatPath, chat_with("max_tokens", "90"));
  EXPECT_EQ(received->head.status, 400);
  const json::object error = received->object().at("error").as_object();
  EXPECT_EQ(error.at("code"), "context_length_exceeded");
  const size_t prompt = byte_tokens(kUser + kAssistant).size();
  for (const size_t number : {size_t{100}, prompt, prompt + 90})
    EXPECT_NE(std::string_view(error.at("message").as_string()).find(std::to_string(number)), std::string::npos);
  EXPECT_EQ(send(kChatPath, chat_with("max_tokens", std::to_string(100 - prompt)))->heads, 0) << "it fits exactly";
  const std::string longer = R"([{"role":"user","content":")" + std::string(100, 'x') + R"("}])";
  EXPECT_NE(refused("messages", longer).find("the prompt alone has"), std::string::npos);
}

TEST_F(ChatRequestTest, AChosenToolBindsTheGrammarAndLeavesThePromptAlone) {
  const std::string two = "[" + std::string(kWeatherTool) + R"(,{"type":"function","function":{"name":"other"}}])";
  send(kChatPath, chat_with("tools", two));
  send(kChatPath, with(chat_with("tools", two), "tool_choice", R"({"type":"function","function":{"name":"other"}})"));
  EXPECT_EQ(asked(0).prompt, asked(1).prompt);
  EXPECT_NE(asked(1).grammar.gbnf.find("other"), std::string::npos);
  EXPECT_EQ(asked(1).grammar.gbnf.find("weather"), std::string::npos);
  send(
      kChatPath,
      with(
          chat_with("tools", two), "tool_choice",
          R"({"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"other"}}]}})"));
  EXPECT_EQ(json::parse(chat.inputs.back().tools_json).as_array().size(), 1u);
  EXPECT_EQ(chat.inputs.back().tool_choice, "auto");
  send(kChatPath, with(chat_with("tools", two), "tool_choice", "\"none\""));
  EXPECT_EQ(chat.inputs.back().tool_choice, "none");
}

TEST_F(ChatRequestTest, FormatsBecomeASchemaOrAGrammar) {
  send(kChatPath, chat_with("response_format", R"({"type":"json_object"})"));
  EXPECT_EQ(asked().grammar.gbnf, R"(schema:{"type":"object"})");
  send(kChatPath,
       chat_with("response_format",
                 R"({"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{"type":"integer"}}})"));
  EXPECT_EQ(asked(1).grammar.gbnf, R"(schema:{"type":"integer"})");
  send(kChatPath, chat_with("guided_json", R"("{\"type\":\"null\"}")"));
  EXPECT_EQ(asked(2).grammar.gbnf, R"(schema:{"type":"null"})");
  send(kChatPath, chat_with("guided_grammar", R"("root ::= [a-z]")"));
  EXPECT_EQ(asked(3).grammar.gbnf, "root ::= [a-z]");
  send(kChatPath, chat_with("response_format", R"({"type":"text"})"));
  EXPECT_EQ(asked(4).grammar.gbnf, "");
}

TEST_F(ChatRequestTest, TheLastMessageMayBeContinued) {
  send(kChatPath,
       with(chat_with("messages", R"([{"role":"user","content":"Hi"},{"role":"assistant","content":"Once upon"}])"),
            "continue_final_message", "true"));
  EXPECT_EQ(asked().prompt, byte_tokens(kUser + kAssistant + "Once upon"));
}

TEST_F(ChatRequestTest, TemplateSwitchesAreHandedOver) {
  send(kChatPath, with(chat_with("chat_template_kwargs", R"({"enable_thinking":false,"x":[1]})"),
                       "add_generation_prompt", "false"));
  EXPECT_FALSE(chat.inputs[0].enable_thinking);
  EXPECT_FALSE(chat.inputs[0].add_generation_prompt);
  EXPECT_EQ(chat.inputs[0].kwargs,
            (std::vector<std::pair<std::string, std::string>>{{"enable_thinking", "false"}, {"x", "[1]"}}));
  send(kChatPath, chat_with("reasoning_effort", "\"none\""));
  EXPECT_FALSE(chat.inputs[1].enable_thinking);
}

TEST_F(ChatRequestTest, CacheControlOnPartsMarksThePrompt) {
  send(
      kChatPath,
      chat_with(
          "messages",
          R"([{"role":"system","content":[{"type":"text","text":"S","cache_control":{"type":"ephemeral"}},{"type":"text","text":"T"}]},
    {"role":"user","content":"Hi"}])"));
  ASSERT_EQ(asked().marks.size(), 1u);
  EXPECT_EQ(asked().marks[0].tokens, static_cast<int32_t>(byte_tokens("<|im_start|>system\nS").size()));
  EXPECT_EQ(asked().marks[0].ttl_s, 300);
  send(kChatPath, chat_with("messages", R"([{"role":"user","content":[{"type":"text","text":"Hi",
    "prompt_cache_breakpoint":{"mode":"explicit"}}]}])"));
  ASSERT_EQ(asked(1).marks.size(), 1u);
  EXPECT_EQ(asked(1).marks[0].ttl_s, 1800);
}

TEST_F(ChatRequestTest, ABosThatTheTemplateWroteIsNotDoubled) {
  make(/*with_bos=*/true);
  send(kChatPath, kChat);
  EXPECT_EQ(asked().prompt.front(), kBosToken);
  EXPECT_NE(asked().prompt[1], kBosToken);
}

}  // namespace
}  // namespace payonce::engine
