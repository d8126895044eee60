#include "llm/response.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <string>
#include <tuple>

#include "llm/dialect.h"
#include "llm/error_body.h"
#include "llm/request.h"

namespace payonce::llm {
namespace {

namespace json = boost::json;

constexpr std::string_view kChat =
    R"({"id":"c1","object":"chat.completion","created":7,"model":"m","choices":[{"index":0,"message":{"role":"assistant",)"
    R"("content":"Hi ☃","x_new":{"a":1},"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},)"
    R"("logprobs":null,"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13,)"
    R"("prompt_tokens_details":{"cached_tokens":4}},"system_fingerprint":"fp"})";
constexpr std::string_view kChatStream =
    "data: "
    "{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\",\"choices\":[{\"index\":0,"
    "\"delta\":{"
    "\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n"
    "data: "
    "{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\",\"choices\":[{\"index\":0,"
    "\"delta\":{"
    "\"content\":\"Hel\",\"reasoning_content\":\"be\"},\"finish_reason\":null}]}\n\n"
    "data: "
    "{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\",\"choices\":[{\"index\":0,"
    "\"delta\":{"
    "\"content\":\"lo\",\"reasoning_content\":\"fore\",\"tool_calls\":[{\"index\":0,\"id\":\"call_9\",\"type\":"
    "\"function\",\"function\":{"
    "\"name\":\"f\",\"arguments\":\"{\\\"a\"}}]},\"finish_reason\":null}]}\n\n"
    "data: "
    "{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\",\"choices\":[{\"index\":0,"
    "\"delta\":{"
    "\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"\\\":1}\"}}]},\"finish_reason\":\"stop\"}]}\n\n"
    "data: "
    "{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\",\"choices\":[],\"usage\":{"
    "\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n"
    "data: [DONE]\n\n";
constexpr std::string_view kMessage =
    R"({"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"thinking","thinking":"hm","signature":"s=="},)"
    R"({"type":"text","text":"Hello"},{"type":"tool_use","id":"toolu_1","name":"f","input":{"a":[1,2]}}],"stop_reason":"tool_use",)"
    R"("stop_sequence":null,"usage":{"input_tokens":9,"cache_read_input_tokens":100,"cache_creation_input_tokens":30,)"
    R"("cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"output_tokens":4}})";
constexpr std::string_view kResponse =
    R"({"id":"resp_1","object":"response","created_at":1,"status":"completed","error":null,"incomplete_details":null,"model":"m",)"
    R"("output":[{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"why"}]},{"type":"message","id":"msg_1",)"
    R"("status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hello","annotations":[]}]},)"
    R"({"type":"function_call","id":"fc_1","call_id":"call_1","name":"f","arguments":"{}","status":"completed"}],)"
    R"("usage":{"input_tokens":8,"input_tokens_details":{"cached_tokens":2},"output_tokens":3,"total_tokens":11}})";

TEST(Response, AStreamBecomesTheDocumentThatTheProviderWouldHaveSent) {
  const auto made = to_json(Dialect::kOpenAiChat, kChatStream);
  ASSERT_TRUE(made) << made.error().message;
  const json::value value = json::parse(*made);
  const json::value& message = value.at("choices").at(0).at("message");
  EXPECT_EQ(value.at("object"), "chat.completion");
  EXPECT_EQ(message.at("content"), "Hello");
  EXPECT_EQ(message.at("reasoning_content"), "before");
  EXPECT_EQ(json::serialize(message.at("tool_calls")),
            R"([{"id":"call_9","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}])");
  EXPECT_EQ(value.at("choices").at(0).at("finish_reason"), "stop");
  EXPECT_EQ(value.at("usage").at("prompt_tokens"), 5);
}

TEST(Response, ADocumentGoesThroughTheStreamAndBackUnchanged) {
  for (const auto& [dialect, text] : {std::pair{Dialect::kOpenAiChat, kChat},
                                      {Dialect::kAnthropicMessages, kMessage},
                                      {Dialect::kOpenAiResponses, kResponse}}) {
    const auto stream = to_stream(dialect, text, true);
    ASSERT_TRUE(stream) << stream.error().message;
    const Analysis analysis = analyse(dialect, Form::kStream, *stream);
    EXPECT_TRUE(analysis.complete) << analysis.reason << "\n" << *stream;
    const auto back = to_json(dialect, *stream);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(json::parse(*back), json::parse(text));
  }
}

TEST(Response, CompletionsGoThroughTheStreamAndBack) {
  const std::string_view text =
      R"({"id":"x","object":"text_completion","created":1,"model":"m","choices":[{"text":"abc","index":0,"logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":2,"completion_tokens":3}})";
  const auto stream = to_stream(Dialect::kOpenAiCompletions, text, true);
  ASSERT_TRUE(stream);
  EXPECT_TRUE(analyse(Dialect::kOpenAiCompletions, Form::kStream, *stream).complete);
  EXPECT_EQ(json::parse(*to_json(Dialect::kOpenAiCompletions, *stream)), json::parse(text));
}

TEST(Response, UsageIsReadInItsFourClasses) {
  const Usage chat = analyse(Dialect::kOpenAiChat, Form::kJson, kChat).usage;
  EXPECT_EQ(chat.fresh, 6);
  EXPECT_EQ(chat.read, 4);
  EXPECT_EQ(chat.output, 3);
  const Usage message = analyse(Dialect::kAnthropicMessages, Form::kJson, kMessage).usage;
  EXPECT_EQ(message.fresh, 9);
  EXPECT_EQ(message.read, 100);
  EXPECT_EQ(message.write_short, 10);
  EXPECT_EQ(message.write_long, 20);
  EXPECT_EQ(message.input(), 139);
  const Usage response = analyse(Dialect::kOpenAiResponses, Form::kJson, kResponse).usage;
  EXPECT_EQ(response.fresh, 6);
  EXPECT_EQ(response.read, 2);
}

TEST(Response, ACutStreamIsNeverComplete) {
  const std::string message = *to_stream(Dialect::kAnthropicMessages, kMessage, false);
  const std::string response = *to_stream(Dialect::kOpenAiResponses, kResponse, false);
  for (const auto& [dialect, whole] : {std::pair{Dialect::kOpenAiChat, std::string(kChatStream)},
                                       {Dialect::kAnthropicMessages, message},
                                       {Dialect::kOpenAiResponses, response}}) {
    EXPECT_TRUE(analyse(dialect, Form::kStream, whole).complete);
    for (size_t size = 0; size + 2 < whole.size(); size += 3)
      EXPECT_FALSE(analyse(dialect, Form::kStream, std::string_view(whole).substr(0, size)).complete) << size;
  }
  for (size_t size = 0; size < kChat.size(); ++size)
    EXPECT_FALSE(analyse(Dialect::kOpenAiChat, Form::kJson, kChat.substr(0, size)).complete);
}

TEST(Response, ErrorsAndWithheldAnswersAreNotComplete) {
  EXPECT_FALSE(analyse(Dialect::kOpenAiChat, Form::kJson, R"({"error":{"message":"x"}})").complete);
  EXPECT_FALSE(
      analyse(Dialect::kOpenAiChat, Form::kJson, R"({"choices":[{"message":{},"finish_reason":"content_filter"}]})")
          .complete);
  EXPECT_FALSE(
      analyse(Dialect::kOpenAiChat, Form::kStream, "data: {\"error\":{\"message\":\"x\"}}\n\ndata: [DONE]\n\n")
          .complete);
  EXPECT_FALSE(analyse(Dialect::kAnthropicMessages, Form::kJson, R"({"type":"error","error":{}})").complete);
  EXPECT_FALSE(analyse(Dialect::kOpenAiResponses, Form::kJson, R"({"status":"in_progress"})").complete);
  EXPECT_FALSE(
      analyse(Dialect::kOpenAiResponses, Form::kJson, R"({"status":"failed","error":{"code":"x"}})").complete);
  EXPECT_TRUE(analyse(Dialect::kOpenAiResponses, Form::kJson,
                      R"({"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}})")
                  .complete);
  EXPECT_TRUE(
      analyse(Dialect::kOpenAiEmbeddings, Form::kJson, R"({"data":[{}],"usage":{"prompt_tokens":3}})").complete);
  EXPECT_TRUE(analyse(Dialect::kAnthropicCountTokens, Form::kJson, R"({"input_tokens":3})").complete);
}

TEST(Response, TheUsageChunkGoesOnlyToWhoAskedForIt) {
  EXPECT_EQ(restream(Dialect::kOpenAiChat, kChatStream, true), kChatStream);
  const std::string without = restream(Dialect::kOpenAiChat, kChatStream, false);
  EXPECT_EQ(without.find("usage"), std::string::npos);
  EXPECT_TRUE(analyse(Dialect::kOpenAiChat, Form::kStream, without).complete);
  EXPECT_EQ(to_stream(Dialect::kOpenAiChat, kChat, false)->find("usage"), std::string::npos);
}

TEST(Response, KnowsTheChunkThatEndsAStream) {
  EXPECT_TRUE(ends_stream(Dialect::kOpenAiChat, kChatStream));
  EXPECT_FALSE(
      ends_stream(Dialect::kOpenAiChat, "data: {\"choices\":[{\"delta\":{\"content\":\"data: [DONE]\"}}]}\n\n"));
  EXPECT_TRUE(ends_stream(Dialect::kAnthropicMessages, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
  EXPECT_TRUE(ends_stream(Dialect::kOpenAiResponses, *to_stream(Dialect::kOpenAiResponses, kResponse, false)));
}

// Shapes of the two providers' pages (2026-09).
TEST(Response, TellsWhyTheProviderDidNotReadItsCache) {
  const auto with = [](std::string_view document, std::string_view member) {
    return std::string(document.substr(0, document.size() - 1)) + "," + std::string(member) + "}";
  };
  const std::string message =
      with(kMessage, R"("diagnostics":{"cache_miss_reason":{"type":"tools_changed","cache_missed_input_tokens":9}})");
  const std::string response =
      with(kResponse, R"("prompt_cache_diagnostics":{"type":"cache_miss","reason":"input_changed"})");
  const std::string chat = with(kChat, R"("prompt_cache_diagnostics":{"type":"comparison_response_not_found"})");
  for (const auto& [dialect, text, reason] : {std::tuple{Dialect::kAnthropicMessages, message, "tools_changed"},
                                              {Dialect::kOpenAiResponses, response, "input_changed"},
                                              {Dialect::kOpenAiChat, chat, "comparison_response_not_found"}}) {
    EXPECT_EQ(analyse(dialect, Form::kJson, text).cache_miss_reason, reason);
    const std::string stream =
        dialect == Dialect::kOpenAiChat ? "data: " + text + "\n\ndata: [DONE]\n\n" : *to_stream(dialect, text, true);
    EXPECT_EQ(analyse(dialect, Form::kStream, stream).cache_miss_reason, reason);
  }
}

TEST(Response, AnAccountOfAMissMayHaveAnyShapeAndIsShort) {
  const auto reason_of = [](std::string_view member) {
    return analyse(Dialect::kOpenAiResponses, Form::kJson, R"({"status":"completed",)" + std::string(member) + "}")
        .cache_miss_reason;
  };
  EXPECT_EQ(reason_of(R"("prompt_cache_diagnostics":{"reason":{"type":"model_changed"}})"), "model_changed");
  EXPECT_EQ(reason_of(R"("prompt_cache_diagnostics":"unavailable")"), "unavailable");
  EXPECT_EQ(reason_of(R"("diagnostics":{"cache_miss_reason":"system_changed"})"), "system_changed");
  for (const char* nothing :
       {R"("diagnostics":null)", R"("diagnostics":{"cache_miss_reason":null})", R"("diagnostics":[1])",
        R"("prompt_cache_diagnostics":{"type":"cache_hit"})", R"("prompt_cache_diagnostics":7)"})
    EXPECT_EQ(reason_of(nothing), "") << nothing;
  EXPECT_EQ(reason_of(R"("prompt_cache_diagnostics":")" + std::string(65, 'a') + "\""), "other");
  EXPECT_EQ(reason_of(R"("prompt_cache_diagnostics":"a\nb")"), "other");
}

TEST(Request, ReadsWhatTheLayersNeed) {
  const auto request = parse_request(
      Dialect::kOpenAiChat,
      base::Bytes::copy(R"({"model":"m","stream":true,"stream_options":{"include_usage":true},"temperature":0.0})"));
  ASSERT_TRUE(request);
  EXPECT_EQ(request->model, "m");
  EXPECT_TRUE(request->stream);
  EXPECT_TRUE(request->include_usage);
  EXPECT_EQ(request->temperature, 0.0);
  for (const char* bad : {"", "[]", "\"x\"", "{", R"({"stream":"yes"})"})
    EXPECT_FALSE(parse_request(Dialect::kOpenAiChat, base::Bytes::copy(bad))) << bad;
}

TEST(Dialect, IsKnownByMethodAndPath) {
  EXPECT_EQ(classify("POST", "/v1/chat/completions"), Dialect::kOpenAiChat);
  EXPECT_EQ(classify("POST", "/v1/messages/count_tokens"), Dialect::kAnthropicCountTokens);
  EXPECT_EQ(classify("GET", "/v1/chat/completions"), Dialect::kOther);
  EXPECT_EQ(classify("POST", "/v1/chat/completions/"), Dialect::kOther);
  EXPECT_EQ(classify("GET", "/v1/models"), Dialect::kOther);
}

TEST(ErrorBody, HasTheShapeOfTheDialect) {
  EXPECT_EQ(json::parse(error_body(Dialect::kAnthropicMessages, 429, "x")).at("error").at("type"),
            "rate_limit_error");
  EXPECT_EQ(json::parse(error_body(Dialect::kAnthropicMessages, 429, "x")).at("type"), "error");
  EXPECT_EQ(json::parse(error_body(Dialect::kOpenAiChat, 400, "a\"b")).at("error").at("message"), "a\"b");
}

}  // namespace
}  // namespace payonce::llm
