// POST /v1/completions.
#include "engine/api/api_fixture.h"

namespace payonce::engine {
namespace {

constexpr const char* kCompletionsPath = "/v1/completions";

class CompletionsTest : public ApiTest {
 protected:
  std::string refused(const std::string& body) { return refusal(kCompletionsPath, body); }
};

TEST_F(CompletionsTest, AWholeAnswerLooksAsTheApiSays) {
  const auto received = send(kCompletionsPath, R"({"model":"m","prompt":"<|im_start|>Once"})");
  EXPECT_EQ(asked().prompt, byte_tokens("<|im_start|>Once")) << "special tokens are read in raw text";
  EXPECT_EQ(asked().stopping.max_tokens, 16);
  engine.say(0, " upon");
  engine.end(0, Finish::kLength);
  engine.done(0, {.prompt_tokens = 5, .cached_tokens = 4, .completion_tokens = 2});
  run();
  json::object body = received->object();
  EXPECT_TRUE(std::string_view(body["id"].as_string()).starts_with("cmpl-"));
  body["id"] = "ID";
  EXPECT_EQ(
      json::serialize(body),
      R"({"id":"ID","object":"text_completion","created":1790000000,"model":"m","system_fingerprint":"fp_0123456789","choices":[{"index":0,"text":" upon","logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":0}}})");
}

TEST_F(CompletionsTest, AllFormsOfPromptsAreRead) {
  const auto prompts = [&](const std::string& prompt) {
    engine.requests.clear();
    const auto received = send(kCompletionsPath, R"({"prompt":)" + prompt + "}");
    std::vector<std::vector<int32_t>> out;
    for (const auto& request : engine.requests) out.push_back(request.asked.prompt);
    return out;
  };
  using Lists = std::vector<std::vector<int32_t>>;
  EXPECT_EQ(prompts(R"("ab")"), (Lists{{'a', 'b'}}));
  EXPECT_EQ(prompts(R"(["ab","c"])"), (Lists{{'a', 'b'}, {'c'}}));
  EXPECT_EQ(prompts("[1,2]"), (Lists{{1, 2}}));
  EXPECT_EQ(prompts("[[1,2],[3]]"), (Lists{{1, 2}, {3}}));
}

TEST_F(CompletionsTest, PromptsThatCannotBeReadAreNamed) {
  for (const std::string body :
       {R"({})", R"({"prompt":null})", R"({"prompt":""})", R"({"prompt":[]})", R"({"prompt":[[]]})",
        R"({"prompt":[""]})", R"({"prompt":7})", R"({"prompt":{}})", R"({"prompt":[259]})", R"({"prompt":[-1]})",
        R"({"prompt":[1.5]})", R"({"prompt":[1,"a"]})", R"({"prompt":["a",[1],true]})"})
    EXPECT_TRUE(refused(body).starts_with("'prompt'")) << body << " " << refused(body);
  limits.max_prompts = 2;
  api.reset();
  EXPECT_NE(refused(R"({"prompt":["a","b","c"]})").find("more than 2"), std::string::npos);
}

TEST_F(CompletionsTest, AnEmptyPromptIsTheBeginningOfATextWhereTheModelHasOne) {
  make(/*with_bos=*/true);
  send(kCompletionsPath, R"({"prompt":""})");
  EXPECT_EQ(asked().prompt, std::vector<int32_t>{kBosToken});
}

TEST_F(CompletionsTest, ChoicesAreNumberedPromptByPrompt) {
  const auto received = send(kCompletionsPath, R"({"prompt":["a","b"],"n":2,"temperature":1})");
  ASSERT_EQ(engine.requests.size(), 2u);
  EXPECT_EQ(asked(1).n, 2);
  for (const size_t prompt : {1U, 0U})
    for (const int32_t choice : {1, 0}) {
      engine.say(prompt, std::to_string(prompt) + std::to_string(choice), choice);
      engine.end(prompt, Finish::kStop, "", choice);
    }
  engine.done(1, {.prompt_tokens = 1, .cached_tokens = 1, .completion_tokens = 4});
  run();
  EXPECT_EQ(received->heads, 0) << "the other prompt is not done";
  engine.done(0, {.prompt_tokens = 2, .completion_tokens = 4});
  run();
  const json::object body = received->object();
  std::vector<std::string> texts;
  for (const json::value& choice : body.at("choices").as_array()) {
    EXPECT_EQ(choice.at("index"), texts.size());
    texts.emplace_back(choice.at("text").as_string());
  }
  EXPECT_EQ(texts, (std::vector<std::string>{"00", "01", "10", "11"}));
  EXPECT_EQ(body.at("usage"), J(R"({"prompt_tokens":3,"completion_tokens":8,"total_tokens":11,
        "prompt_tokens_details":{"cached_tokens":1,"cache_write_tokens":0}})"));
}

TEST_F(CompletionsTest, OneRefusedPromptEndsThemAll) {
  engine.refusals = {};
  make();
  EnginePort port = engine.port();
  const auto received = std::make_shared<Received>();
  int taken = 0;
  api = std::make_unique<Api>(
      Api::Parts{.engine = {.submit = [&](Generate asked, std::shared_ptr<Sink> sink) -> base::Result<RequestId> {
                              if (taken++ == 1) return base::fail(base::Code::kExhausted, "full");
                              return port.submit(std::move(asked), std::move(sink));
                            },
                            .cancel = port.cancel},
                 .vocab = byte_vocab(false),
                 .chat = chat,
                 .model = model,
                 .pool = *pool,
                 .clock = clock},
      limits, context_tokens);
  const auto refused_answer = send(kCompletionsPath, R"({"prompt":["a","b","c"]})");
  EXPECT_EQ(refused_answer->head.status, 429);
  EXPECT_EQ(engine.cancelled, std::vector<RequestId>{1});
  EXPECT_EQ(taken, 2);
}

TEST_F(CompletionsTest, EchoBeginsWithThePrompt) {
  const auto received = send(kCompletionsPath, R"({"prompt":["ab",[99]],"echo":true})");
  engine.answer(0, "X");
  engine.answer(1, "Y");
  run();
  EXPECT_EQ(received->object().at("choices").at(0).at("text"), "abX");
  EXPECT_EQ(received->object().at("choices").at(1).at("text"), "cY");
}

TEST_F(CompletionsTest, LogprobsOfPromptAndAnswerHaveOffsetsInTheText) {
  const auto received = send(kCompletionsPath, R"({"prompt":"aä","echo":true,"logprobs":1})");
  EXPECT_EQ(asked().logprobs, 1);
  EXPECT_EQ(asked().prompt_logprobs, 1);
  Sink& sink = *engine.requests[0].sink;
  sink.prompt_logprobs({{0xC3, -1.F}, {0xA4, -2.F}}, {{{'x', -0.5F}}, {{0xA4, -2.F}}});
  sink.piece({.text = "b", .tokens = {'b'}, .logprobs = {{'b', -3.F}}, .likeliest = {{{'c', -0.25F}}}});
  engine.end(0);
  engine.done(0, {});
  run();
  EXPECT_EQ(received->object().at("choices").at(0).at("logprobs"),
            J(R"({"tokens":["a","\ufffd","\ufffd","b"],"token_logprobs":[null,-1.0,-2.0,-3.0],
              "top_logprobs":[null,{"x":-0.5,"\ufffd":-1.0},{"\ufffd":-2.0},{"c":-0.25,"b":-3.0}],"text_offset":[0,1,2,2]})"));
}

TEST_F(CompletionsTest, ZeroTokensScoreThePromptAlone) {
  const auto received = send(kCompletionsPath, R"({"prompt":"ab","echo":true,"logprobs":0,"max_tokens":0})");
  EXPECT_EQ(asked().stopping.max_tokens, 1);
  engine.requests[0].sink->prompt_logprobs({{'a', 0.F}, {'b', -2.F}}, {{}, {}});
  engine.answer(0, "X", Finish::kLength);
  run();
  const json::object body = received->object();
  EXPECT_EQ(body.at("choices").at(0).at("text"), "ab");
  EXPECT_EQ(body.at("choices").at(0).at("logprobs").at("token_logprobs"), J("[null,-2.0]"));
  EXPECT_EQ(body.at("usage").at("completion_tokens"), 0);
  EXPECT_NE(refused(R"({"prompt":"ab","max_tokens":0})").find("echo"), std::string::npos);
}

TEST_F(CompletionsTest, AStreamCarriesIndexesAndUsage) {
  const auto received = send(
      kCompletionsPath, R"({"prompt":["a","b"],"stream":true,"echo":true,"stream_options":{"include_usage":true}})");
  engine.say(1, "Y");
  run();
  EXPECT_EQ(received->events().at(0).at("choices").at(0),
            J(R"({"index":1,"text":"bY","logprobs":null,"finish_reason":null})"));
  engine.end(1);
  engine.done(1, {.prompt_tokens = 1, .completion_tokens = 1});
  engine.answer(0, "X", Finish::kLength);
  run();
  const auto events = received->events();
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[1].at("choices").at(0), J(R"({"index":1,"text":"","logprobs":null,"finish_reason":"stop"})"));
  EXPECT_EQ(events[2].at("choices").at(0), J(R"({"index":0,"text":"aX","logprobs":null,"finish_reason":"length"})"));
  EXPECT_EQ(events[3].at("usage").at("completion_tokens"), 2);
  EXPECT_TRUE(received->body().ends_with("data: [DONE]\n\n"));
}

TEST_F(CompletionsTest, TheDefaultLengthShrinksWithTheContext) {
  context_tokens = 10;
  make();
  send(kCompletionsPath, R"({"prompt":"12345678"})");
  EXPECT_EQ(asked().stopping.max_tokens, 2);
  EXPECT_NE(refused(R"({"prompt":"1234567890"})").find("10"), std::string::npos);
  EXPECT_FALSE(refused(R"({"prompt":"12345678","max_tokens":3})").empty());
}

TEST_F(CompletionsTest, WhatIsNotServedIsSaid) {
  EXPECT_NE(refused(R"({"prompt":"a","suffix":"b"})").find("suffix"), std::string::npos);
  EXPECT_NE(refused(R"({"prompt":"a","logprobs":21})").find("logprobs"), std::string::npos);
  EXPECT_NE(refused(R"({"prompt":"a","best_of":2,"stream":true})").find("stream"), std::string::npos);
  limits.max_sequences = 4;
  api.reset();
  EXPECT_NE(refused(R"({"prompt":["a","b","c"],"n":2})").find("at most 4"), std::string::npos);
}

TEST_F(CompletionsTest, AGrammarIsHandedOver) {
  send(kCompletionsPath, R"({"prompt":"a","grammar":"root ::= [0-9]"})");
  EXPECT_EQ(asked().grammar.gbnf, "root ::= [0-9]");
  send(kCompletionsPath, R"({"prompt":"a","guided_json":{"type":"boolean"}})");
  EXPECT_NE(asked(1).grammar.gbnf.find("root ::="), std::string::npos);
}

}  // namespace
}  // namespace payonce::engine
