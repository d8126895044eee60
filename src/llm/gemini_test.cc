// Gemini's generateContent, with and without a stream.
#include <gtest/gtest.h>

#include "llm/error_body.h"
#include "llm/request.h"
#include "llm/response.h"

namespace payonce::llm {
namespace {

constexpr std::string_view kPath = "/v1beta/models/gemini-2.5-pro:generateContent";
constexpr std::string_view kStreamTarget = "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse";
constexpr std::string_view kStream =
    R"(data: {"candidates":[{"content":{"role":"model","parts":[{"text":"4"}]},"index":0}],"usageMetadata":{"promptTokenCount":9}})"
    "\r\n\r\n"
    R"(data: {"candidates":[{"content":{"role":"model","parts":[{"text":"2"}]},"finishReason":"STOP","index":0}],)"
    R"("usageMetadata":{"promptTokenCount":9,"cachedContentTokenCount":4,"candidatesTokenCount":2,"thoughtsTokenCount":3},)"
    R"("modelVersion":"gemini-2.5-pro"})"
    "\r\n\r\n";

Request request(std::string_view target, std::string_view body = "{}") {
  return parse_request(Dialect::kGemini, base::Bytes::copy(body), target).value();
}

Analysis whole(std::string_view body) { return analyse(Dialect::kGemini, Form::kJson, body); }

TEST(Gemini, ItsTwoFormsAreKnownAndAllOthersPassThrough) {
  for (const std::string_view target : {kPath, kStreamTarget, std::string_view("/v1/models/m:generateContent"),
                                        std::string_view("/v1alpha/models/m:generateContent")})
    EXPECT_EQ(classify("POST", target), Dialect::kGemini) << target;
  for (const std::string_view target :
       {"/v1beta/models/m:generateContent?key=secret", "/v1beta/models/m:streamGenerateContent",
        "/v1beta/models/m:streamGenerateContent?alt=sse&key=secret", "/v1beta/models/m:countTokens",
        "/v1beta/models/:generateContent", "/v1beta/models/a/b:generateContent", "/v1beta/models",
        "/v1beta/tunedModels/m:generateContent", "/models/m:generateContent"})
    EXPECT_EQ(classify("POST", target), Dialect::kOther) << target;
  EXPECT_EQ(classify("GET", kPath), Dialect::kOther);
  EXPECT_EQ(classify("POST", "/v1/messages?beta=true"), Dialect::kAnthropicMessages);
}

TEST(Gemini, ThePathNamesModelAndFraming) {
  EXPECT_EQ(request(kPath).model, "gemini-2.5-pro");
  EXPECT_FALSE(request(kPath).stream);
  EXPECT_TRUE(request(kStreamTarget).stream);
  EXPECT_EQ(request(kPath, R"({"generationConfig":{"temperature":0}})").temperature, 0);
  EXPECT_EQ(request(kPath, R"({"generation_config":{"temperature":0.5}})").temperature, 0.5);
  EXPECT_FALSE(request(kPath, R"({"temperature":0})").temperature);
}

TEST(Gemini, AnAnswerIsCompleteWhenEachCandidateEndedWell) {
  const Analysis streamed = analyse(Dialect::kGemini, Form::kStream, kStream);
  EXPECT_TRUE(streamed.complete) << streamed.reason;
  EXPECT_EQ(streamed.model, "gemini-2.5-pro");
  EXPECT_EQ(streamed.finish_reason, "STOP");
  EXPECT_TRUE(whole(R"({"candidates":[{"finishReason":"MAX_TOKENS"}]})").complete);
  for (const std::string_view body :
       {R"({"candidates":[{"finishReason":"STOP","index":0},{"index":1}]})",
        R"({"candidates":[{"finishReason":"SAFETY"}]})", R"({"promptFeedback":{"blockReason":"OTHER"}})",
        R"({"candidates":[]})", R"({"error":{"code":500}})", R"([{"candidates":[{"finishReason":"STOP"}]}])",
        R"({"candidates":[{"finishReason":"STOP"}],"error":{}})", R"({"candidates":[1]})"})
    EXPECT_FALSE(whole(body).complete) << body;
}

TEST(Gemini, ACutStreamIsNeverComplete) {
  const size_t end = kStream.size() - 4;  // after the line ends nothing of the last event is missing
  for (size_t size = 0; size < end; ++size)
    EXPECT_FALSE(analyse(Dialect::kGemini, Form::kStream, kStream.substr(0, size)).complete) << size;
}

TEST(Gemini, UsageTellsWhatWasReadAndThought) {
  const Usage usage = analyse(Dialect::kGemini, Form::kStream, kStream).usage;
  EXPECT_EQ(usage.fresh, 5);
  EXPECT_EQ(usage.read, 4);
  EXPECT_EQ(usage.output, 5);
  EXPECT_TRUE(usage.known && usage.read_known);
}

TEST(Gemini, NeitherFramingIsMadeOfTheOther) {
  EXPECT_FALSE(to_json(Dialect::kGemini, kStream));
  EXPECT_FALSE(to_stream(Dialect::kGemini, R"({"candidates":[]})", false));
  EXPECT_EQ(restream(Dialect::kGemini, kStream, false), kStream);
}

TEST(Gemini, ErrorsHaveItsShape) {
  EXPECT_EQ(error_body(Dialect::kGemini, 429, "slow down"),
            R"({"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}})");
}

}  // namespace
}  // namespace payonce::llm
