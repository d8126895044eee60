// Answers of POST /v1/chat/completions, whole and as streams.
#include <cmath>
#include <map>

#include "engine/api/chat_fixture.h"

namespace payonce::engine {
namespace {

class ChatAnswerTest : public ApiTest {
 protected:
  json::object whole(const std::string& body, const std::string& text, Finish why = Finish::kStop) {
    engine.requests.clear();
    const auto received = send(kChatPath, body);
    EXPECT_EQ(engine.requests.size(), 1u) << received->body();
    if (engine.requests.empty()) return {};
    engine.answer(0, text, why);
    run();
    EXPECT_EQ(received->head.status, 200);
    EXPECT_EQ(received->ends, 1);
    return received->object();
  }
};

TEST_F(ChatAnswerTest, AWholeAnswerLooksAsTheApiSays) {
  const auto received = send(kChatPath, kChat);
  engine.say(0, "Hel");
  engine.say(0, "lo \xE2\x98\x83");
  run();
  EXPECT_EQ(received->heads, 0);
  engine.end(0);
  engine.done(0, {.prompt_tokens = 11, .cached_tokens = 7, .completion_tokens = 3});
  run();
  json::object body = received->object();
  EXPECT_TRUE(std::string_view(body["id"].as_string()).starts_with("chatcmpl-"));
  body["id"] = "ID";
  EXPECT_EQ(
      json::serialize(body),
      R"({"id":"ID","object":"chat.completion","created":1790000000,"model":"m","system_fingerprint":"fp_0123456789","choices":[{"index":0,"message":{"role":"assistant","content":"Hello ☃","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"completion_tokens":3,"total_tokens":14,"prompt_tokens_details":{"cached_tokens":7,"cache_write_tokens":0}}})");
  EXPECT_EQ(received->header("content-type"), "application/json");
  EXPECT_TRUE(received->header("x-request-id").starts_with("req_"));
  EXPECT_EQ(asked().prompt, byte_tokens(kUser + kAssistant));
}

TEST_F(ChatAnswerTest, AStreamSendsEachPieceAtOnce) {
  const auto received = send(kChatPath, chat_with("stream", "true"));
  engine.say(0, "Hel");
  run();
  const std::vector<json::object> first = received->events();
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[0].at("object"), "chat.completion.chunk");
  EXPECT_EQ(first[0].at("choices").at(0),
            J(R"({"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null})"));
  EXPECT_EQ(first[1].at("choices").at(0).at("delta"), J(R"({"content":"Hel"})"));
  EXPECT_FALSE(first[1].contains("usage"));
  engine.say(0, "lo");
  engine.end(0, Finish::kLength);
  engine.done(0, {});
  run();
  const std::vector<json::object> all = received->events();
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[2].at("choices").at(0).at("delta"), J(R"({"content":"lo"})"));
  EXPECT_EQ(all[3].at("choices").at(0), J(R"({"index":0,"delta":{},"logprobs":null,"finish_reason":"length"})"));
  EXPECT_TRUE(received->body().ends_with("data: [DONE]\n\n"));
  EXPECT_EQ(received->ends, 1);
  EXPECT_TRUE(received->header("content-type").starts_with("text/event-stream"));
  for (const json::object& chunk : all) EXPECT_EQ(chunk.at("id"), all[0].at("id"));
}

TEST_F(ChatAnswerTest, UsageIsAChunkOfItsOwnWhenAskedFor) {
  const auto received =
      send(kChatPath, with(chat_with("stream", "true"), "stream_options", R"({"include_usage":true})"));
  engine.answer(0, "Hi");
  run();
  const std::vector<json::object> all = received->events();
  for (size_t i = 0; i + 1 < all.size(); ++i) EXPECT_TRUE(all[i].at("usage").is_null());
  EXPECT_EQ(all.back().at("choices"), json::array());
  EXPECT_EQ(all.back().at("usage").at("completion_tokens"), 2);
  EXPECT_NE(refusal(kChatPath, chat_with("stream_options", R"({"include_usage":true})")).find("stream"),
            std::string::npos);
}

TEST_F(ChatAnswerTest, ToolCallsInAWholeAnswer) {
  const json::object body =
      whole(tools_body(), R"(Well.<tool_call>{"name": "weather", "arguments": {"city":"Bonn"}}</tool_call>)"
                          R"(<tool_call>{"name": "weather", "arguments": {}}</tool_call>)");
  const json::object choice = body.at("choices").at(0).as_object();
  EXPECT_EQ(choice.at("finish_reason"), "tool_calls");
  EXPECT_EQ(choice.at("message").at("content"), "Well.");
  const json::array calls = choice.at("message").at("tool_calls").as_array();
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[0].at("function"), J(R"({"name":"weather","arguments":"{\"city\":\"Bonn\"}"})"));
  EXPECT_EQ(calls[0].at("type"), "function");
  EXPECT_TRUE(std::string_view(calls[0].at("id").as_string()).starts_with("call_"));
  EXPECT_NE(calls[0].at("id"), calls[1].at("id"));
}

TEST_F(ChatAnswerTest, AnAnswerOfCallsAloneHasNoContent) {
  const json::object body = whole(tools_body(), R"(<tool_call>{"name": "weather", "arguments": {}}</tool_call>)");
  EXPECT_TRUE(body.at("choices").at(0).at("message").at("content").is_null());
}

TEST_F(ChatAnswerTest, ACallThatIsCutOffStaysACall) {
  const json::object body =
      whole(tools_body(), R"(<tool_call>{"name": "weather", "arguments": {"ci)", Finish::kLength);
  const json::object choice = body.at("choices").at(0).as_object();
  EXPECT_EQ(choice.at("finish_reason"), "length");
  EXPECT_EQ(choice.at("message").at("tool_calls").at(0).at("function").at("name"), "weather");
}

TEST_F(ChatAnswerTest, ToolCallsSplitOverPiecesAreSentOnceAndInOrder) {
  const auto received = send(kChatPath, with(tools_body(), "stream", "true"));
  const std::string text =
      R"(Well <b>.<tool_call>{"name": "weather", "arguments": {"city":"Bonn"}}</tool_call><tool_call>{"name": "other", "arguments": {"a":[1,2]}}</tool_call>)";
  answer_byte_by_byte(text);
  std::string content, finish;
  std::vector<std::string> names, ids, arguments;
  for (const json::object& chunk : received->events()) {
    const json::object choice = chunk.at("choices").at(0).as_object();
    const json::object delta = choice.at("delta").as_object();
    if (delta.contains("content")) content += delta.at("content").as_string();
    if (!choice.at("finish_reason").is_null()) finish = choice.at("finish_reason").as_string();
    if (!delta.contains("tool_calls")) continue;
    const json::object call = delta.at("tool_calls").at(0).as_object();
    const auto index = static_cast<size_t>(call.at("index").as_int64());
    if (call.contains("id")) {
      ASSERT_EQ(index, names.size());
      names.emplace_back(call.at("function").at("name").as_string());
      ids.emplace_back(call.at("id").as_string());
      arguments.emplace_back();
    }
    ASSERT_EQ(index + 1, names.size());
    arguments[index] += call.at("function").at("arguments").as_string();
  }
  EXPECT_EQ(content, "Well <b>.");
  EXPECT_EQ(names, (std::vector<std::string>{"weather", "other"}));
  EXPECT_EQ(arguments, (std::vector<std::string>{R"({"city":"Bonn"})", R"({"a":[1,2]})"}));
  EXPECT_NE(ids[0], ids[1]);
  EXPECT_EQ(finish, "tool_calls");
}

TEST_F(ChatAnswerTest, ReasoningIsAFieldOfItsOwn) {
  const json::object message = whole(kChat, "<think>hm</think>Yes").at("choices").at(0).at("message").as_object();
  EXPECT_EQ(message.at("reasoning_content"), "hm");
  EXPECT_EQ(message.at("content"), "Yes");
  EXPECT_FALSE(whole(kChat, "Yes").at("choices").at(0).at("message").as_object().contains("reasoning_content"));
}

TEST_F(ChatAnswerTest, LogprobsHaveBytesAndTheLikeliest) {
  const std::string body = with(chat_with("logprobs", "true"), "top_logprobs", "2");
  const auto give = [&] {
    engine.requests.back().sink->piece({.text = "A\xC3\xA4",
                                        .tokens = {'A', 0xC3, 0xA4},
                                        .logprobs = {{'A', -0.5F}, {0xC3, -1.F}, {0xA4, -2.F}},
                                        .likeliest = {{{'A', -0.5F}, {'B', -INFINITY}}, {}, {}}});
    engine.end(engine.requests.size() - 1);
    engine.done(engine.requests.size() - 1, {});
    run();
  };
  const auto whole_answer = send(kChatPath, body);
  give();
  const json::value expected = J(
      R"([{"token":"A","logprob":-0.5,"bytes":[65],"top_logprobs":[{"token":"A","logprob":-0.5,"bytes":[65]},{"token":"B","logprob":-9999.0,"bytes":[66]}]},
      {"token":"\ufffd","logprob":-1.0,"bytes":[195],"top_logprobs":[]},{"token":"\ufffd","logprob":-2.0,
        "bytes":[164],"top_logprobs":[]}])");
  EXPECT_EQ(whole_answer->object().at("choices").at(0).at("logprobs").at("content"), expected);
  const auto streamed = send(kChatPath, with(body, "stream", "true"));
  give();
  const auto events = streamed->events();
  EXPECT_TRUE(events[0].at("choices").at(0).at("logprobs").is_null());
  EXPECT_EQ(events[1].at("choices").at(0).at("logprobs").at("content"), expected);
}

TEST_F(ChatAnswerTest, EveryChoiceHasItsOwnIndex) {
  const auto received = send(kChatPath, with(chat_with("n", "2"), "stream", "true"));
  engine.say(0, "b", 1);
  engine.say(0, "a", 0);
  engine.end(0, Finish::kStop, "", 1);
  engine.end(0, Finish::kLength, "", 0);
  engine.done(0, {});
  run();
  std::map<int64_t, std::string> texts, reasons;
  for (const json::object& chunk : received->events()) {
    const json::object choice = chunk.at("choices").at(0).as_object();
    const int64_t index = choice.at("index").as_int64();
    if (choice.at("delta").as_object().contains("content"))
      texts[index] += choice.at("delta").at("content").as_string();
    if (choice.at("finish_reason").is_string()) reasons[index] = choice.at("finish_reason").as_string();
  }
  EXPECT_EQ(texts, (std::map<int64_t, std::string>{{0, "a"}, {1, "b"}}));
  EXPECT_EQ(reasons, (std::map<int64_t, std::string>{{0, "length"}, {1, "stop"}}));
}

TEST_F(ChatAnswerTest, AnAnswerWithoutTextIsStillWhole) {
  const auto received = send(kChatPath, chat_with("stream", "true"));
  engine.end(0);
  engine.done(0, {});
  run();
  const auto events = received->events();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].at("choices").at(0).at("delta").at("role"), "assistant");
  EXPECT_EQ(events[1].at("choices").at(0).at("finish_reason"), "stop");
  EXPECT_EQ(whole(kChat, "").at("choices").at(0).at("message").at("content"), "");
}

}  // namespace
}  // namespace payonce::engine
