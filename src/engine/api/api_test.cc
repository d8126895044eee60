// What all dialects share: paths, errors, limits, the call's life.
#include "engine/api/api.h"

#include <array>
#include <set>

#include "engine/api/chat_fixture.h"

namespace payonce::engine {
namespace {

constexpr std::array<std::string_view, 5> kPosts = {"/v1/chat/completions", "/v1/completions", "/v1/messages",
                                                    "/v1/messages/count_tokens", "/v1/responses"};

TEST_F(ApiTest, ModelsAreListedInAFormThatBothClientsRead) {
  const auto listed = send("/v1/models", "", "GET");
  ASSERT_EQ(listed->head.status, 200);
  const json::object list = listed->object();
  const json::object& model_entry = list.at("data").as_array().at(0).as_object();
  EXPECT_EQ(list.at("object"), "list");
  EXPECT_EQ(list.at("has_more"), false);
  EXPECT_EQ(model_entry.at("id"), "Tiny Model");
  EXPECT_EQ(model_entry.at("object"), "model");
  EXPECT_EQ(model_entry.at("type"), "model");
  EXPECT_EQ(model_entry.at("created_at"), "2026-09-21T14:13:20Z");
  EXPECT_EQ(send("/v1/models/Tiny%20Model", "", "GET")->object(), model_entry);
  const auto other = send("/v1/models/gpt-x", "", "GET");
  EXPECT_EQ(other->head.status, 404);
  EXPECT_NE(other->body().find("Tiny Model"), std::string::npos);
}

TEST_F(ApiTest, UnknownPathsAndMethodsAreRefusedInTheCallersShape) {
  const auto openai = send("/v1/nothing", "{}");
  EXPECT_EQ(openai->head.status, 404);
  EXPECT_EQ(openai->object().at("error").at("type"), "invalid_request_error");
  net::Headers version;
  version.add("anthropic-version", "2023-06-01");
  const auto anthropic = send("/v1/nothing", "{}", "POST", version);
  EXPECT_EQ(anthropic->head.status, 404);
  EXPECT_EQ(anthropic->object().at("error").at("type"), "not_found_error");
  const auto wrong = send("/v1/messages", "", "GET");
  EXPECT_EQ(wrong->head.status, 405);
  EXPECT_EQ(wrong->header("allow"), "POST");
  EXPECT_EQ(wrong->object().at("type"), "error");
  EXPECT_EQ(send("/v1/models", "{}")->header("allow"), "GET");
  EXPECT_NE(refusal("/v1/embeddings", "{}", 404).find("no embeddings"), std::string::npos);
}

TEST_F(ApiTest, BodiesThatAreNoObjectsAreRefusedByEveryEndpoint) {
  for (const std::string_view path : kPosts)
    for (const std::string body : {"", "{", "[]", "7", "{\"a\":\"\xff\"}", "{\"model\":7}"})
      EXPECT_FALSE(refusal(std::string(path), body).empty()) << path << " " << body;
  EXPECT_NE(refusal("/v1/completions", "{\"prompt\":\"\xff\xfe\"}").find("UTF-8"), std::string::npos);
  std::string deep = "{\"a\":";
  for (int i = 0; i < 100'000; ++i) deep += '[';
  EXPECT_FALSE(refusal("/v1/chat/completions", deep).empty());
}

TEST_F(ApiTest, AFullPoolIsTooManyRequests) {
  pool = std::make_unique<base::WorkerPool>(base::WorkerPool::Options{.threads = 1, .queue_limit = 0});
  for (const std::string_view path : kPosts) {
    const auto received = send(std::string(path), kChat);
    EXPECT_EQ(received->head.status, 429);
    EXPECT_EQ(received->header("retry-after"), "1");
    EXPECT_EQ(received->ends, 1);
  }
}

TEST_F(ApiTest, TheEnginesRefusalsHaveTheirStatus) {
  const std::pair<base::Code, int> kExpected[] = {{base::Code::kExhausted, 429},
                                                  {base::Code::kTimeout, 504},
                                                  {base::Code::kInternal, 500},
                                                  {base::Code::kInvalid, 400},
                                                  {base::Code::kUnavailable, 503}};
  for (const auto& [code, status] : kExpected) {
    engine.refusals = {{code, "why"}};
    const auto refused = send("/v1/chat/completions", kChat);
    EXPECT_EQ(refused->head.status, status);
    EXPECT_EQ(refused->object().at("error").at("message"), "why");
    EXPECT_EQ(refused->header("retry-after"), status == 429 || status == 503 ? "1" : "");
    // The same when it comes later.
    const auto failed = send("/v1/messages", std::string(kMessagesBody));
    engine.requests.back().sink->failed({code, "why"});
    run();
    EXPECT_EQ(failed->head.status, status);
    EXPECT_EQ(failed->object().at("type"), "error");
    EXPECT_EQ(failed->ends, 1);
  }
}

TEST_F(ApiTest, AnErrorInAStreamIsItsLastEvent) {
  for (const std::string_view path : {"/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/completions"}) {
    engine.requests.clear();
    std::string body = with(std::string(kMessagesBody), "stream", "true");
    if (path == "/v1/responses") body = R"({"input":"Hi","stream":true})";
    if (path == "/v1/completions") body = R"({"prompt":"Hi","stream":true})";
    const auto received = send(std::string(path), body);
    engine.say(0, "Hel");
    run();
    ASSERT_EQ(received->head.status, 200) << received->body();
    engine.requests[0].sink->failed({base::Code::kTimeout, "too slow"});
    run();
    EXPECT_EQ(received->ends, 1);
    EXPECT_EQ(received->errors, 0);
    const json::object last = received->events().back();
    const json::value message = path == "/v1/responses" ? last.at("message") : last.at("error").at("message");
    EXPECT_EQ(message, "too slow") << path;
    EXPECT_EQ(received->body().find("[DONE]"), std::string::npos);
    EXPECT_EQ(received->body().find("message_stop"), std::string::npos);
    engine.say(0, "late");
    run();
    EXPECT_EQ(received->events().back(), last);
  }
}

TEST_F(ApiTest, AnErrorBeforeTheFirstByteIsNoStream) {
  const auto received = send("/v1/chat/completions", with(kChat, "stream", "true"));
  EXPECT_EQ(received->heads, 0) << "the head waits for the first token, so that errors have their status";
  engine.requests[0].sink->failed({base::Code::kExhausted, "no memory"});
  run();
  EXPECT_EQ(received->head.status, 429);
  EXPECT_EQ(received->header("content-type"), "application/json");
}

TEST_F(ApiTest, ACancelledCallIsSilentAndStopsTheEngine) {
  const auto received = send("/v1/chat/completions", with(kChat, "stream", "true"));
  engine.say(0, "Hel");
  run();
  const auto chunks = received->chunks;
  ASSERT_FALSE(chunks.empty());
  engine.say(0, "lo");
  last_call->cancel();
  last_call->cancel();
  EXPECT_EQ(engine.cancelled, std::vector<RequestId>{1});
  engine.end(0);
  run();
  EXPECT_EQ(received->chunks, chunks);
  EXPECT_EQ(received->ends, 0);
}

TEST_F(ApiTest, ACallThatIsCancelledBeforeItWasReadNeverReachesTheEngine) {
  make();
  std::mutex gate;
  gate.lock();
  ASSERT_TRUE(pool->post([&] { const std::lock_guard wait(gate); }));
  auto received = std::make_shared<Received>();
  const auto call =
      api->serve({.method = "POST", .target = "/v1/chat/completions"}, base::Bytes(kChat), "t", loop, received);
  call->cancel();
  gate.unlock();
  run();
  EXPECT_TRUE(engine.requests.empty());
  EXPECT_EQ(received->heads, 0);
}

TEST_F(ApiTest, AFinishedRequestIsNotCancelled) {
  send("/v1/chat/completions", kChat);
  engine.answer(0, "Hello");
  run();
  last_call->cancel();
  EXPECT_TRUE(engine.cancelled.empty());
}

TEST_F(ApiTest, APausedCallWaitsAndThenSendsWhatCame) {
  const auto received = send("/v1/chat/completions", with(kChat, "stream", "true"));
  last_call->pause();
  engine.answer(0, "Hello");
  run();
  EXPECT_EQ(received->heads, 0);
  last_call->resume();
  run();
  EXPECT_EQ(received->ends, 1);
  EXPECT_NE(received->body().find("Hello"), std::string::npos);
}

TEST_F(ApiTest, ClosingTellsThoseThatRunAndThoseThatCome) {
  const auto waiting = send("/v1/messages", std::string(kMessagesBody));
  const auto streaming = send("/v1/chat/completions", with(kChat, "stream", "true"));
  engine.say(1, "Hel");
  run();
  api->close();
  run();
  EXPECT_EQ(waiting->head.status, 503);
  EXPECT_EQ(streaming->ends, 1);
  EXPECT_NE(streaming->body().find("shutting down"), std::string::npos);
  EXPECT_EQ(std::set<RequestId>(engine.cancelled.begin(), engine.cancelled.end()), (std::set<RequestId>{1, 2}));
  const auto late = send("/v1/chat/completions", kChat);
  EXPECT_EQ(late->head.status, 503);
  EXPECT_EQ(late->header("retry-after"), "1");
  EXPECT_EQ(send("/v1/models", "", "GET")->head.status, 503);
}

TEST_F(ApiTest, AnEngineThatGoesDownIsUnavailable) {
  const auto received = send("/v1/chat/completions", kChat);
  engine.end(0, Finish::kCancelled);
  run();
  EXPECT_EQ(received->head.status, 503);
}

TEST_F(ApiTest, DestroyingItEndsTheEnginesPart) {
  const auto received = send("/v1/chat/completions", kChat);
  api.reset();
  EXPECT_EQ(engine.cancelled, std::vector<RequestId>{1});
  engine.answer(0, "late");
  run();
  EXPECT_EQ(received->heads, 0);
}

TEST_F(ApiTest, TenantAndDeadlineGoWithTheRequest) {
  limits.request_timeout_ms = 5'000;
  const int64_t now_ms = clock.monotonic_us() / 1000;
  send("/v1/chat/completions", kChat);
  EXPECT_EQ(asked().tenant, "tenant");
  EXPECT_EQ(asked().deadline_ms, now_ms + 5'000);
}

TEST(TenantOf, IsTheCredentialUnderEitherName) {
  const auto tenant = [](std::vector<std::pair<std::string, std::string>> fields) {
    net::Headers headers;
    for (const auto& [name, value] : fields) headers.add(name, value);
    return tenant_of(headers);
  };
  EXPECT_EQ(tenant({}), "anonymous");
  EXPECT_EQ(tenant({{"Authorization", "Bearer k"}}), tenant({{"x-api-key", "k"}}));
  EXPECT_EQ(tenant({{"Authorization", "bearer k"}}), tenant({{"x-api-key", "k"}, {"authorization", "Bearer k"}}));
  EXPECT_EQ(tenant({{"api-key", "k"}}), tenant({{"x-goog-api-key", "k"}}));
  EXPECT_NE(tenant({{"api-key", "k"}}), "anonymous");
  EXPECT_NE(tenant({{"Authorization", "Bearer k"}, {"Authorization", "Bearer l"}}),
            tenant({{"Authorization", "Bearer k"}}));
  const std::set<std::string> all = {tenant({}), tenant({{"x-api-key", "k"}}), tenant({{"x-api-key", "l"}}),
                                     tenant({{"x-api-key", "k"}, {"authorization", "Bearer l"}}),
                                     tenant({{"x-api-key", "l"}, {"authorization", "Bearer k"}})};
  EXPECT_EQ(all.size(), 5u);
  for (const std::string& one : all) EXPECT_EQ(one.find("k"), one == "anonymous" ? std::string::npos : one.find("k"));
}

}  // namespace
}  // namespace payonce::engine
