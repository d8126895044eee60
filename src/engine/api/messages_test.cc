// POST /v1/messages, /v1/messages/count_tokens.
#include "engine/api/api_fixture.h"
#include "engine/api/cache_control.h"

namespace payonce::engine {
namespace {

constexpr const char* kMessagesPath = "/v1/messages";
const std::string kMessage(kMessagesBody);
constexpr std::string_view kMessagesTools =
    R"([{"name":"weather","description":"d","input_schema":{"type":"object","properties":{}}}])";

std::string body_with(std::string_view name, std::string_view value) { return with(kMessage, name, value); }

class MessagesTest : public ApiTest {
 protected:
  std::string refused(std::string_view name, std::string_view value) {
    return refusal(kMessagesPath, body_with(name, value));
  }
  json::value rendered() const { return json::parse(chat.inputs.at(0).messages_json); }
  json::object whole(const std::string& body, const std::string& text, Finish why = Finish::kStop,
                     const std::string& stop = "") {
    engine.requests.clear();
    const auto received = send(kMessagesPath, body);
    EXPECT_EQ(engine.requests.size(), 1u) << received->body();
    if (engine.requests.empty()) return {};
    engine.say(0, text);
    engine.end(0, why, stop);
    engine.done(0, {.prompt_tokens = 10, .completion_tokens = 2});
    run();
    return received->object();
  }
};

TEST_F(MessagesTest, AWholeAnswerLooksAsTheApiSays) {
  const auto received = send(kMessagesPath, kMessage);
  EXPECT_EQ(asked().stopping.max_tokens, 64);
  engine.say(0, "Hello");
  engine.end(0);
  engine.done(0, {.prompt_tokens = 100, .cached_tokens = 60, .written_tokens = 30, .completion_tokens = 2});
  run();
  json::object body = received->object();
  EXPECT_TRUE(std::string_view(body["id"].as_string()).starts_with("msg_"));
  body["id"] = "ID";
  EXPECT_EQ(
      json::serialize(body),
      R"({"id":"ID","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":30,"cache_read_input_tokens":60,"cache_creation":{"ephemeral_5m_input_tokens":30,"ephemeral_1h_input_tokens":0},"output_tokens":2}})");
  EXPECT_TRUE(received->header("request-id").starts_with("req_"));
}

TEST_F(MessagesTest, AStreamHasTheExactSequenceOfEvents) {
  const auto received = send(kMessagesPath, body_with("stream", "true"));
  engine.start(0, {.prompt_tokens = 9, .cached_tokens = 8});
  engine.say(0, "Hel");
  run();
  engine.say(0, "lo");
  run();
  engine.end(0, Finish::kLength);
  engine.done(0, {.prompt_tokens = 9, .cached_tokens = 8, .completion_tokens = 2});
  run();
  EXPECT_EQ(received->event_names(),
            (std::vector<std::string>{"message_start", "content_block_start", "content_block_delta",
                                      "content_block_delta", "content_block_stop", "message_delta", "message_stop"}));
  const auto events = received->events();
  const json::object begun = events[0].at("message").as_object();
  EXPECT_EQ(begun.at("content"), json::array());
  EXPECT_TRUE(begun.at("stop_reason").is_null());
  EXPECT_EQ(begun.at("usage").at("output_tokens"), 0);
  EXPECT_EQ(begun.at("usage").at("input_tokens"), 1);
  EXPECT_EQ(begun.at("usage").at("cache_read_input_tokens"), 8);
  EXPECT_EQ(events[1], J(R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}})"));
  EXPECT_EQ(events[2], J(R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}})"));
  EXPECT_EQ(events[4], J(R"({"type":"content_block_stop","index":0})"));
  EXPECT_EQ(events[5].at("delta"), J(R"({"stop_reason":"max_tokens","stop_sequence":null})"));
  EXPECT_EQ(events[5].at("usage").at("cache_read_input_tokens"), 8);
  EXPECT_EQ(events[5].at("usage").at("input_tokens"), 1);
  EXPECT_EQ(events[6], J(R"({"type":"message_stop"})"));
  for (const json::object& event : events) EXPECT_TRUE(event.contains("type"));
}

TEST_F(MessagesTest, BlocksBecomeTurns) {
  send(kMessagesPath,
       R"({"max_tokens":5,"system":[{"type":"text","text":"S1"},{"type":"text","text":"S2"}],"messages":[
    {"role":"user","content":"a"},{"role":"user","content":[{"type":"text","text":"b"}]},
    {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"c"},
      {"type":"tool_use","id":"t1","name":"f","input":{"x":1}},{"type":"tool_use","id":"t2","name":"g","input":{}}]},
    {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"r1"},
      {"type":"tool_result","tool_use_id":"t2","content":[{"type":"text","text":"r2"}],"is_error":true},
      {"type":"text","text":"go"}]}]})");
  EXPECT_EQ(rendered(), J(R"([{"role":"system","content":"S1\nS2"},{"role":"user","content":"a\nb"},
    {"role":"assistant","content":"c","reasoning_content":"hm","tool_calls":[
      {"id":"t1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},
      {"id":"t2","type":"function","function":{"name":"g","arguments":"{}"}}]},
    {"role":"tool","content":"r1","tool_call_id":"t1"},{"role":"tool","content":"r2","tool_call_id":"t2"},
    {"role":"user","content":"go"}])"));
}

TEST_F(MessagesTest, AnAssistantsLastMessageIsContinued) {
  send(kMessagesPath,
       body_with("messages", R"([{"role":"user","content":"Hi"},{"role":"assistant","content":"I am"}])"));
  EXPECT_EQ(asked().prompt, byte_tokens("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nI am"));
}

TEST_F(MessagesTest, WhatIsWrongIsNamed) {
  EXPECT_EQ(refusal(kMessagesPath, R"({"messages":[{"role":"user","content":"x"}]})"), "'max_tokens' is missing");
  EXPECT_NE(refused("max_tokens", "0").find("max_tokens"), std::string::npos);
  EXPECT_NE(refused("messages", "[]").find("messages"), std::string::npos);
  EXPECT_NE(refused("messages", R"([{"role":"user","content":[{"type":"image","source":{}}]}])").find("image"),
            std::string::npos);
  EXPECT_NE(refused("messages", R"([{"role":"tool","content":"x"}])").find("role"), std::string::npos);
  EXPECT_NE(refused("messages", R"([{"role":"user","content":[{"type":"tool_use","id":"1","name":"f","input":{}}]}])")
                .find("tool_use"),
            std::string::npos);
  EXPECT_NE(refused("messages", R"([{"role":"user"}])").find("content"), std::string::npos);
  EXPECT_NE(refused("tools", R"([{"type":"web_search_20250305","name":"web_search"}])").find("web_search_20250305"),
            std::string::npos);
  EXPECT_NE(refused("tools", R"([{"name":"f"}])").find("input_schema"), std::string::npos);
  EXPECT_NE(refused("tool_choice", R"({"type":"any"})").find("tool_choice"), std::string::npos);
  EXPECT_NE(refused("thinking", R"({"type":"loud"})").find("thinking.type"), std::string::npos);
  EXPECT_NE(refused("system", "7").find("system"), std::string::npos);
  const auto received = send(kMessagesPath, body_with("temperature", "-1"));
  EXPECT_EQ(received->object().at("error").at("type"), "invalid_request_error");
}

TEST_F(MessagesTest, StopReasonsAreToldApart) {
  const std::string stops = body_with("stop_sequences", R"(["END"])");
  EXPECT_EQ(whole(kMessage, "a").at("stop_reason"), "end_turn");
  EXPECT_EQ(whole(kMessage, "a", Finish::kLength).at("stop_reason"), "max_tokens");
  const json::object stopped = whole(stops, "a", Finish::kStop, "END");
  EXPECT_EQ(stopped.at("stop_reason"), "stop_sequence");
  EXPECT_EQ(stopped.at("stop_sequence"), "END");
  EXPECT_EQ(whole(stops, "a", Finish::kStop, "<|template_stop|>").at("stop_reason"), "end_turn");
  const json::object called = whole(body_with("tools", kMessagesTools),
                                    R"(<tool_call>{"name": "weather", "arguments": {"a":1}}</tool_call>)");
  EXPECT_EQ(called.at("stop_reason"), "tool_use");
  json::object block = called.at("content").at(0).as_object();
  EXPECT_TRUE(std::string_view(block["id"].as_string()).starts_with("toolu_"));
  block["id"] = "ID";
  EXPECT_EQ(block, J(R"({"type":"tool_use","id":"ID","name":"weather","input":{"a":1}})"));
}

TEST_F(MessagesTest, ToolUseStreamsAsItsOwnBlock) {
  const auto received = send(kMessagesPath, with(body_with("tools", kMessagesTools), "stream", "true"));
  const std::string text = R"(Well.<tool_call>{"name": "weather", "arguments": {"city":"Bonn"}}</tool_call>)";
  for (size_t i = 0; i < text.size(); i += 3) {
    engine.say(0, text.substr(i, 3));
    run();
  }
  engine.end(0);
  engine.done(0, {});
  run();
  std::string json_text, said;
  std::vector<std::string> order;
  for (const json::object& event : received->events()) {
    const std::string type(event.at("type").as_string());
    if (type == "content_block_start") {
      order.emplace_back(event.at("content_block").at("type").as_string());
      EXPECT_EQ(event.at("index"), order.size() / 2) << "a start and a stop for each block";
    }
    if (type == "content_block_stop") order.emplace_back("stop");
    if (type != "content_block_delta") continue;
    const json::object delta = event.at("delta").as_object();
    if (delta.at("type") == "input_json_delta") json_text += delta.at("partial_json").as_string();
    if (delta.at("type") == "text_delta") said += delta.at("text").as_string();
    if (order.back() == "stop") ADD_FAILURE() << "a delta outside of a block";
  }
  EXPECT_EQ(order.size(), 4u);
  EXPECT_EQ(order[0], "text");
  EXPECT_EQ(order[2], "tool_use");
  EXPECT_EQ(said, "Well.");
  EXPECT_EQ(json_text, R"({"city":"Bonn"})");
  EXPECT_EQ(received->events()[received->events().size() - 2].at("delta").at("stop_reason"), "tool_use");
}

TEST_F(MessagesTest, ToolChoiceHasAnthropicsWords) {
  const auto choose = [&](std::string_view choice) {
    send(kMessagesPath, with(body_with("tools", kMessagesTools), "tool_choice", choice));
    return chat.inputs.back();
  };
  EXPECT_EQ(choose(R"({"type":"auto"})").tool_choice, "auto");
  EXPECT_EQ(choose(R"({"type":"none"})").tool_choice, "none");
  EXPECT_EQ(choose(R"({"type":"any","disable_parallel_tool_use":true})").tool_choice, "required");
  EXPECT_FALSE(chat.inputs.back().parallel_tool_calls);
  EXPECT_EQ(choose(R"({"type":"tool","name":"weather"})").tool_choice, "required");
  EXPECT_NE(
      refusal(kMessagesPath, with(body_with("tools", kMessagesTools), "tool_choice", R"({"type":"tool","name":"x"})"))
          .find("'x'"),
      std::string::npos);
  EXPECT_EQ(json::parse(chat.inputs[0].tools_json),
            J(R"([{"type":"function","function":{"name":"weather","description":"d",
    "parameters":{"type":"object","properties":{}}}}])"));
}

TEST_F(MessagesTest, ThinkingIsShownOnlyWhenItWasAskedFor) {
  EXPECT_EQ(whole(kMessage, "<think>hm</think>Yes").at("content"), J(R"([{"type":"text","text":"Yes"}])"));
  EXPECT_FALSE(chat.inputs.back().enable_thinking);
  const std::string thinking = body_with("thinking", R"({"type":"enabled","budget_tokens":1024})");
  EXPECT_EQ(whole(thinking, "<think>hm</think>Yes").at("content"),
            J(R"([{"type":"thinking","thinking":"hm","signature":""},{"type":"text","text":"Yes"}])"));
  EXPECT_TRUE(chat.inputs.back().enable_thinking);
  whole(body_with("thinking", R"({"type":"disabled"})"), "Yes");
  EXPECT_FALSE(chat.inputs.back().enable_thinking);
}

TEST_F(MessagesTest, StructuredOutputsBecomeASchema) {
  send(kMessagesPath, body_with("output_config", R"({"format":{"type":"json_schema","schema":{"type":"integer"}}})"));
  EXPECT_EQ(asked().grammar.gbnf, R"(schema:{"type":"integer"})");
}

TEST_F(MessagesTest, CacheControlMarksTheTokenWhereItsBlockEnds) {
  const std::string body = R"({"max_tokens":5,
    "tools":[{"name":"f","input_schema":{"type":"object"},"cache_control":{"type":"ephemeral","ttl":"1h"}}],
    "system":[{"type":"text","text":"S1","cache_control":{"type":"ephemeral","ttl":"1h"}},{"type":"text","text":"S2"}],
    "messages":[{"role":"user","content":[{"type":"text","text":"long","cache_control":{"type":"ephemeral"}},
      {"type":"text","text":"question"}]},{"role":"assistant","content":"answer"},
      {"role":"user","content":[{"type":"text","text":"last","cache_control":{"type":"ephemeral","ttl":"5m"}}]}]})";
  send(kMessagesPath, body);
  const Generate& request = asked();
  EXPECT_EQ(chat.inputs.front().tools_json.find("cache_control"), std::string::npos);
  std::string text;
  for (const int32_t token : request.prompt) text += byte_vocab(false).piece(token, true);
  std::vector<std::string> before;
  for (const CacheMark& mark : request.marks) {
    std::string prefix;
    for (int32_t i = 0; i < mark.tokens; ++i)
      prefix += byte_vocab(false).piece(request.prompt[static_cast<size_t>(i)], true);
    before.push_back(prefix.substr(prefix.size() < 6 ? 0 : prefix.size() - 6));
  }
  ASSERT_EQ(request.marks.size(), 4u) << text;
  // This template writes the system's text first and the tools behind it.
  EXPECT_TRUE(before[0].ends_with("S1\n")) << before[0];
  EXPECT_TRUE(before[2].ends_with("\nlong")) << before[2];
  EXPECT_TRUE(before[3].ends_with("\n")) << before[3];
  EXPECT_EQ(request.marks[0].ttl_s, 3600);
  EXPECT_EQ(request.marks[1].ttl_s, 3600);
  EXPECT_EQ(request.marks[2].ttl_s, 300);
  EXPECT_LE(chat.inputs.size(), 1u + 4u + 1u);
}

TEST_F(MessagesTest, TheRequestsOwnMarkStandsAfterItsLastBlock) {
  send(kMessagesPath, body_with("cache_control", R"({"type":"ephemeral","ttl":"1h"})"));
  ASSERT_EQ(asked().marks.size(), 1u);
  EXPECT_EQ(asked().marks[0].ttl_s, 3600);
  EXPECT_EQ(asked().marks[0].tokens, static_cast<int32_t>(byte_tokens("<|im_start|>user\nHi<|im_end|>\n").size()));
}

TEST_F(MessagesTest, WrongMarksAreRefused) {
  const auto blocks = [](int count, const std::string& control) {
    std::string out = R"([{"role":"user","content":[)";
    for (int i = 0; i < count; ++i)
      out += (i ? "," : "") + (R"({"type":"text","text":"x","cache_control":)" + control + "}");
    return out + "]}]";
  };
  EXPECT_EQ(refused("messages", blocks(5, R"({"type":"ephemeral"})")),
            "A maximum of 4 blocks with cache_control may be provided. Found 5.");
  EXPECT_NE(refused("messages", blocks(1, R"({"type":"persistent"})")).find("cache_control.type"), std::string::npos);
  EXPECT_NE(refused("messages", blocks(1, R"({"type":"ephemeral","ttl":"2h"})")).find("ttl"), std::string::npos);
  EXPECT_NE(
      refusal(kMessagesPath, with(body_with("messages", blocks(1, R"({"type":"ephemeral","ttl":"1h"})")), "system",
                                  R"([{"type":"text","text":"S","cache_control":{"type":"ephemeral"}}])"))
          .find("1h"),
      std::string::npos);
  EXPECT_EQ(send(kMessagesPath, body_with("messages", blocks(4, R"({"type":"ephemeral"})")))->heads, 0);
}

TEST_F(MessagesTest, WrittenTokensAreSplitByTheirTtl) {
  const std::vector<CacheMark> marks = {{.tokens = 40, .ttl_s = 3600}, {.tokens = 100, .ttl_s = 300}};
  const auto split = [&](int64_t written) {
    const Written out = split_written(marks, written);
    return std::pair{out.long_tokens, out.short_tokens};
  };
  EXPECT_EQ(split(100), (std::pair<int64_t, int64_t>{40, 60}));
  EXPECT_EQ(split(70), (std::pair<int64_t, int64_t>{10, 60}));
  EXPECT_EQ(split(60), (std::pair<int64_t, int64_t>{0, 60}));
  EXPECT_EQ(split(0), (std::pair<int64_t, int64_t>{0, 0}));
}

TEST_F(MessagesTest, TokensAreCountedWithoutTheEngine) {
  const auto received =
      send("/v1/messages/count_tokens", R"({"model":"m","messages":[{"role":"user","content":"Hi"}]})");
  EXPECT_EQ(received->object(),
            (json::object{
                {"input_tokens", byte_tokens("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n").size()}}));
  EXPECT_TRUE(engine.requests.empty());
  EXPECT_NE(refusal("/v1/messages/count_tokens", "{}").find("messages"), std::string::npos);
}

TEST_F(MessagesTest, ATooLongPromptSpeaksAnthropicsWords) {
  context_tokens = 40;
  make();
  EXPECT_EQ(refused("max_tokens", "20"),
            "input length and `max_tokens` exceed context limit: " +
                std::to_string(byte_tokens("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n").size()) +
                " + 20 > 40, decrease input length or `max_tokens` and try again");
  EXPECT_TRUE(refused("system", "\"" + std::string(100, 's') + "\"").starts_with("prompt is too long: "));
}

TEST_F(MessagesTest, AnEmptyAnswerHasNoBlocks) {
  EXPECT_EQ(whole(kMessage, "").at("content"), json::array());
  engine.requests.clear();
  const auto received = send(kMessagesPath, body_with("stream", "true"));
  engine.end(0);
  engine.done(0, {});
  run();
  EXPECT_EQ(received->event_names(), (std::vector<std::string>{"message_start", "message_delta", "message_stop"}));
}

}  // namespace
}  // namespace payonce::engine
