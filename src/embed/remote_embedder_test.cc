// The embedder behind a URL, against an upstream that follows a script: what it sends, what it makes of answers, good
// and bad.
#include "embed/remote_embedder.h"

#include <gmock/gmock.h>

#include <boost/json.hpp>
#include <future>
#include <mutex>

#include "embed/base64.h"
#include "embed/remote_answer.h"
#include "net/client_test_peers.h"

namespace payonce::embed {
namespace {
namespace json = boost::json;

using net::ScriptedServer;
using testing::ElementsAre;
using testing::HasSubstr;
using Answer = std::future<base::Result<Embedding>>;

std::string http(int status, const std::string& body) {
  return "HTTP/1.1 " + std::to_string(status) +
         " X\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

json::object body_of(const std::string& request) {
  return json::parse(request.substr(request.find("\r\n\r\n") + 4)).as_object();
}

// A vector for each input, which says how long its text is; the last item first.
std::string vectors_for(const json::object& request) {
  json::array data;
  const json::array& inputs = request.at("input").as_array();
  for (size_t i = inputs.size(); i-- > 0;) {
    const auto length = static_cast<double>(inputs[i].as_string().size());
    data.push_back({{"object", "embedding"}, {"index", i}, {"embedding", {3 * length, 4 * length, 5}}});
  }
  return json::serialize(json::object{{"data", std::move(data)}, {"usage", {{"prompt_tokens", 12}}}});
}

class Remote : public testing::Test {
 protected:
  // `reply` makes the answer to a request's text.
  void start(std::function<std::string(const std::string& request)> reply) {
    server_ = std::make_unique<ScriptedServer>([this, reply](ScriptedServer::Socket& socket, int) {
      for (std::string request; !(request = ScriptedServer::read_request(socket)).empty();) {
        {
          const std::lock_guard lock(mutex_);
          requests_.push_back(request);
        }
        const std::string answer = reply(request);
        if (answer.empty()) return;
        ScriptedServer::write(socket, answer);
      }
    });
    options_.url = "http://127.0.0.1:" + std::to_string(server_->origin().port) + "/v1/";
    options_.model = "some-model";
    if (options_.dimensions == 0) options_.dimensions = 2;
    auto made = RemoteEmbedder::make(options_);
    ASSERT_TRUE(made.has_value()) << made.error().message;
    embedder_ = *std::move(made);
  }
  Answer ask(const std::string& text) {
    auto promise = std::make_shared<std::promise<base::Result<Embedding>>>();
    auto future = promise->get_future();
    const auto taken = embedder_->embed(text, [promise](auto result) { promise->set_value(std::move(result)); });
    if (!taken) promise->set_value(base::fail(taken.error()));
    return future;
  }
  std::vector<std::string> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

  RemoteEmbedder::Options options_;
  std::mutex mutex_;
  std::vector<std::string> requests_;  // guarded by mutex_
  std::unique_ptr<ScriptedServer> server_;
  std::unique_ptr<RemoteEmbedder> embedder_;  // ends before the server
};

TEST_F(Remote, SendsWhatOpenAiExpectsAndCutsTheVector) {
  options_.key = "sk-test";
  start([](const std::string& request) { return http(200, vectors_for(body_of(request))); });
  const auto answer = ask("abc").get();
  ASSERT_TRUE(answer.has_value()) << answer.error().message;
  EXPECT_THAT(answer->vector, ElementsAre(testing::FloatNear(0.6F, 1e-6F), testing::FloatNear(0.8F, 1e-6F)));
  EXPECT_EQ(answer->tokens, 12);
  EXPECT_TRUE(answer->token_vectors.empty());
  const std::string sent = requests().at(0);
  EXPECT_THAT(sent, HasSubstr("POST /v1/embeddings HTTP/1.1\r\n"));
  EXPECT_THAT(sent, HasSubstr("Authorization: Bearer sk-test\r\n"));
  EXPECT_EQ(body_of(sent),
            json::parse(R"({"model":"some-model","input":["abc"],"encoding_format":"float"})").as_object());
  EXPECT_EQ(embedder_->identity(), options_.url + ":some-model:2");
  EXPECT_EQ(embedder_->width(), 2);
}

TEST_F(Remote, TextsThatWaitTogetherGoOutTogether) {
  options_.calls = 1;
  std::promise<void> first_came, go_on;
  std::shared_future<void> may_go(go_on.get_future());
  std::atomic<int> count{0};
  start([&](const std::string& request) {
    if (count++ == 0) {
      first_came.set_value();
      may_go.wait();
    }
    return http(200, vectors_for(body_of(request)));
  });
  auto first = ask("1");
  first_came.get_future().wait();
  std::vector<Answer> others;
  for (const char* text : {"12", "123", "1234"}) others.push_back(ask(text));
  go_on.set_value();
  EXPECT_EQ(first.get()->tokens, 12);
  int32_t tokens = 0;
  for (Answer& each : others) tokens += each.get()->tokens;
  EXPECT_EQ(tokens, 12);  // of the whole request, shared out
  ASSERT_EQ(requests().size(), 2U);
  EXPECT_EQ(body_of(requests()[1]).at("input"), json::parse(R"(["12","123","1234"])"));
}

TEST_F(Remote, ATextThatIsRefusedCostsTheOthersNothing) {
  options_.calls = 1;
  std::promise<void> first_came, go_on;
  std::shared_future<void> may_go(go_on.get_future());
  std::atomic<int> count{0};
  start([&](const std::string& request) {
    if (count++ == 0) {
      first_came.set_value();
      may_go.wait();
    }
    const json::object body = body_of(request);
    for (const json::value& each : body.at("input").as_array()) {
      if (each == "bad") return http(400, R"({"error":{"message":"'bad' is not allowed"}})");
    }
    return http(200, vectors_for(body));
  });
  auto first = ask("x");
  first_came.get_future().wait();
  auto good = ask("good"), bad = ask("bad"), fine = ask("fine");
  go_on.set_value();
  EXPECT_TRUE(first.get().has_value());
  EXPECT_TRUE(good.get().has_value());
  EXPECT_TRUE(fine.get().has_value());
  const auto refused = bad.get();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, base::Code::kInvalid);
  EXPECT_THAT(refused.error().message, HasSubstr("answered 400: 'bad' is not allowed"));
}

TEST_F(Remote, AnAnswersStatusBecomesACode) {
  std::atomic<int> status{0};
  start([&](const std::string&) { return http(status, "no"); });
  const std::pair<int, base::Code> expected[] = {{401, base::Code::kUnauthorized}, {403, base::Code::kForbidden},
                                                 {413, base::Code::kTooLarge},     {429, base::Code::kExhausted},
                                                 {500, base::Code::kUnavailable},  {503, base::Code::kUnavailable}};
  for (const auto& [given, code] : expected) {
    status = given;
    const auto answer = ask("a").get();
    ASSERT_FALSE(answer.has_value());
    EXPECT_EQ(answer.error().code, code) << given;
  }
}

TEST_F(Remote, AnUpstreamThatDoesNotAnswerIsATimeout) {
  options_.timeout_ms = 50;
  std::promise<void> end;
  std::shared_future<void> ended(end.get_future());
  start([ended](const std::string&) {  // the server's thread outlives the test's body
    ended.wait();
    return std::string();
  });
  const auto answer = ask("a").get();
  end.set_value();
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, base::Code::kTimeout);
}

TEST_F(Remote, WhatIsOnItsWayIsAnsweredWhenItEnds) {
  std::promise<void> came, end;
  std::shared_future<void> ended(end.get_future());
  start([&came, ended](const std::string&) {
    came.set_value();
    ended.wait();
    return std::string();
  });
  auto answer = ask("a");
  came.get_future().wait();
  embedder_.reset();
  const auto result = answer.get();
  end.set_value();
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, base::Code::kUnavailable);
}

TEST(RemoteOptions, NeedModelDimensionsAndUrl) {
  const auto message = [](const RemoteEmbedder::Options& options) {
    const auto made = RemoteEmbedder::make(options);
    return made ? "made" : made.error().message;
  };
  EXPECT_THAT(message({.url = "http://h/v1", .dimensions = 3}), HasSubstr("semantic.embedder_model"));
  EXPECT_THAT(message({.url = "http://h/v1", .model = "m"}), HasSubstr("semantic.embedder_dimensions"));
  EXPECT_NE(message({.url = "ftp://h", .model = "m", .dimensions = 3}), "made");
}

TEST(RemoteAnswer, SaysWhatCannotBeRead) {
  const auto problem = [](std::string_view body) {
    const auto read = read_embeddings_answer(body, {"a"}, 2);
    return read ? "read" : read.error().message;
  };
  EXPECT_EQ(problem(R"({"data":[{"embedding":[1,2]}]})"), "read");
  EXPECT_EQ(problem(R"({"data":[{"index":0,"embedding":")" + base64_of_floats(std::vector<float>{1, 2, 3}) + "\"}]}"),
            "read");
  EXPECT_THAT(problem("{"), HasSubstr("no JSON object"));
  EXPECT_THAT(problem(R"({"data":[]})"), HasSubstr("expected 1 vectors"));
  EXPECT_THAT(problem(R"({"data":[{}]})"), HasSubstr("has no 'embedding'"));
  EXPECT_THAT(problem(R"({"data":[{"index":1,"embedding":[1,2]}]})"), HasSubstr("'index' is not that of the texts"));
  EXPECT_THAT(problem(R"({"data":[{"index":-1,"embedding":[1,2]}]})"), HasSubstr("'index' is not that of the texts"));
  EXPECT_THAT(problem(R"({"data":[{"embedding":[1]}]})"), HasSubstr("1 dimensions, expected 2 or more"));
  EXPECT_THAT(problem(R"({"data":[{"embedding":[0,0]}]})"), HasSubstr("without a direction"));
  EXPECT_THAT(problem(R"({"data":[{"embedding":[1,"2"]}]})"), HasSubstr("what is no number"));
  EXPECT_THAT(problem(R"({"data":[{"embedding":"AAA"}]})"), HasSubstr("no whole F32 numbers"));
  EXPECT_THAT(problem(R"({"data":[{"embedding":"?"}]})"), HasSubstr("not base64"));
}

TEST(Base64, GoesThereAndBack) {
  for (size_t count = 0; count < 7; ++count) {
    std::vector<float> numbers;
    for (size_t i = 0; i < count; ++i) numbers.push_back(static_cast<float>(i) * 0.37F - 1.1F);
    EXPECT_EQ(floats_of_base64(base64_of_floats(numbers)).value(), numbers);
  }
  EXPECT_EQ(base64_of_floats(std::vector<float>{1.0F}), "AACAPw==");
}

}  // namespace
}  // namespace payonce::embed
