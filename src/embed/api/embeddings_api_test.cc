// /v1/embeddings over an embedder that the test answers for.
#include "embed/api/embeddings_api.h"

#include <gmock/gmock.h>

#include <boost/json.hpp>
#include <deque>
#include <mutex>

#include "embed/base64.h"
#include "engine/api/api_fixture.h"

namespace payonce::embed {
namespace {
namespace json = boost::json;

using testing::HasSubstr;

// Answers nothing by itself; holds `room` texts.
class ScriptedEmbedder final : public Embedder {
 public:
  base::Status embed(std::string text, Done done) override {
    const std::lock_guard lock(mutex_);
    if (texts_.size() >= room) return base::fail(base::Code::kExhausted, "full");
    texts_.emplace_back(std::move(text), std::move(done));
    most = std::max(most, texts_.size());
    return {};
  }
  int32_t dimensions() const override { return 4; }
  int32_t width() const override { return 4; }
  const std::string& model() const override { return model_; }
  const std::string& identity() const override { return model_; }

  // The oldest text gets a vector made of its length, or `error`.
  bool answer(std::optional<base::Error> error = {}) {
    std::pair<std::string, Done> next;
    {
      const std::lock_guard lock(mutex_);
      if (texts_.empty()) return false;
      next = std::move(texts_.front());
      texts_.pop_front();
    }
    if (error) {
      next.second(base::fail(*error));
    } else {
      Embedding out;
      out.vector = {static_cast<float>(next.first.size()), 0.5F, 0, 0};
      out.tokens = static_cast<int32_t>(next.first.size()) + 2;
      out.truncated = next.first.starts_with("long");
      next.second(std::move(out));
    }
    return true;
  }
  size_t room = 1000, most = 0;

 private:
  const std::string model_ = "tiny \"quoted\"";
  std::mutex mutex_;
  std::deque<std::pair<std::string, Done>> texts_;  // guarded by mutex_
};

class EmbeddingsApiTest : public testing::Test {
 protected:
  std::shared_ptr<engine::Received> send(const std::string& body, const std::string& method = "POST") {
    auto sink = std::make_shared<engine::Received>();
    call = api.serve({.method = method, .target = "/v1/embeddings", .authority = {}, .headers = {}},
                     base::Bytes(body), loop, sink);
    pool.drain();
    return sink;
  }
  std::shared_ptr<engine::Received> post(const std::string& body) {
    auto sink = send(body);
    while (embedder.answer()) {
    }
    run();
    return sink;
  }
  void run() {
    loop.context().restart();
    loop.context().poll();
  }
  std::string refusal(const std::string& body) {
    const auto got = post(body);
    EXPECT_EQ(got->head.status, 400) << body;
    EXPECT_EQ(got->ends, 1);
    const json::object answer = got->object();
    const json::object& error = answer.at("error").as_object();
    EXPECT_EQ(error.at("type"), "invalid_request_error");
    return std::string(error.at("message").as_string()) + " [" + json::serialize(error.at("param")) + "]";
  }

  ScriptedEmbedder embedder;
  base::WorkerPool pool{{}};
  net::EventLoop loop;
  EmbeddingsApi api{embedder, pool};
  std::shared_ptr<net::Call> call;
};

TEST_F(EmbeddingsApiTest, AnswersInOpenAisShape) {
  const auto got = post(R"({"model":"any","input":"abc"})");
  EXPECT_EQ(got->head.status, 200);
  EXPECT_EQ(got->header("content-type"), "application/json");
  EXPECT_EQ(got->object(), json::parse(R"({"object":"list",
      "data":[{"object":"embedding","index":0,"embedding":[3,0.5,0,0]}],
      "model":"tiny \"quoted\"","usage":{"prompt_tokens":5,"total_tokens":5}})")
                               .as_object());
}

TEST_F(EmbeddingsApiTest, ManyTextsComeBackInTheirOrderAndGoSomeAtATime) {
  json::array texts;
  for (size_t i = 1; i <= 100; ++i) texts.emplace_back(std::string(i, 'x'));
  const auto got = post(json::serialize(json::object{{"input", texts}, {"encoding_format", "base64"}}));
  const json::object answer = got->object();
  const json::array& data = answer.at("data").as_array();
  ASSERT_EQ(data.size(), 100U);
  for (size_t i = 0; i < data.size(); ++i) {
    EXPECT_EQ(data[i].at("index").to_number<size_t>(), i);
    EXPECT_EQ(floats_of_base64(data[i].at("embedding").as_string()).value()[0], static_cast<float>(i + 1));
  }
  EXPECT_EQ(answer.at("usage").at("prompt_tokens"), 5250);
  EXPECT_LE(embedder.most, 32U);
}

TEST_F(EmbeddingsApiTest, FewerDimensionsAreTheFirstOnesMadeLengthOne) {
  const auto got = post(R"({"input":["abc"],"dimensions":1})");
  EXPECT_EQ(got->object().at("data").at(0).at("embedding"), json::parse("[1]"));
}

TEST_F(EmbeddingsApiTest, SaysWhichTextWasCut) {
  const json::object answer = post(R"({"input":["short","long one"]})")->object();
  EXPECT_EQ(answer.at("data").at(0).as_object().if_contains("truncated"), nullptr);
  EXPECT_EQ(answer.at("data").at(1).at("truncated"), true);
}

TEST_F(EmbeddingsApiTest, EachRefusalNamesItsField) {
  EXPECT_THAT(refusal("{"), HasSubstr("no JSON that can be read"));
  EXPECT_THAT(refusal("[]"), HasSubstr("must be a JSON object"));
  EXPECT_THAT(refusal("{}"), HasSubstr("'input' is missing; expected a string or an array of strings [\"input\"]"));
  EXPECT_THAT(refusal(R"({"input":""})"), HasSubstr("'input' is empty"));
  EXPECT_THAT(refusal(R"({"input":[]})"), HasSubstr("'input' is an empty array"));
  EXPECT_THAT(refusal(R"({"input":["a",""]})"), HasSubstr("'input[1]' is empty [\"input[1]\"]"));
  EXPECT_THAT(refusal(R"({"input":[1,2]})"), HasSubstr("'input[0]' holds token numbers"));
  EXPECT_THAT(refusal(R"({"input":[[1,2]]})"), HasSubstr("'input[0]' holds token numbers"));
  EXPECT_THAT(refusal(R"({"input":{"text":"a"}})"), HasSubstr("'input' must be a string, found an object"));
  EXPECT_THAT(refusal(R"({"input":"a","dimensions":5})"), HasSubstr("'dimensions'"));
  EXPECT_THAT(refusal(R"({"input":"a","dimensions":0})"), HasSubstr("'dimensions'"));
  EXPECT_THAT(refusal(R"({"input":"a","encoding_format":"int8"})"),
              HasSubstr("'encoding_format' must be \"float\" or \"base64\", found \"int8\""));
  EXPECT_THAT(refusal(R"({"input":"a","model":3})"), HasSubstr("'model'"));
  json::array many(2049, json::value("a"));
  EXPECT_THAT(refusal(json::serialize(json::object{{"input", many}})), HasSubstr("at most 2048"));
}

TEST_F(EmbeddingsApiTest, OneTextsFailureIsTheRequests) {
  const auto got = send(R"({"input":["a","b"]})");
  embedder.answer();
  embedder.answer(base::Error{base::Code::kInvalid, "the text is not UTF-8 (at byte 0)"});
  run();
  EXPECT_EQ(got->head.status, 400);
  EXPECT_EQ(got->object().at("error").at("message"), "'input[1]': the text is not UTF-8 (at byte 0)");
  EXPECT_EQ(got->ends, 1);
}

TEST_F(EmbeddingsApiTest, AFullQueueIsTriedAgainWhileOwnTextsAreInIt) {
  embedder.room = 2;
  const auto got = post(R"({"input":["a","bb","ccc","dddd"]})");
  EXPECT_EQ(got->head.status, 200);
  EXPECT_EQ(got->object().at("data").as_array().size(), 4U);
  embedder.room = 0;
  const auto refused = post(R"({"input":"a"})");
  EXPECT_EQ(refused->head.status, 429);
  EXPECT_EQ(refused->header("retry-after"), "1");
}

TEST_F(EmbeddingsApiTest, NothingComesAfterACancel) {
  const auto got = send(R"({"input":"a"})");
  call->cancel();
  embedder.answer();
  run();
  EXPECT_EQ(got->heads + got->ends + got->errors, 0);
}

TEST_F(EmbeddingsApiTest, OtherMethodsAreNotAllowed) {
  const auto got = send("", "GET");
  run();
  EXPECT_EQ(got->head.status, 405);
  EXPECT_EQ(got->header("allow"), "POST");
}

}  // namespace
}  // namespace payonce::embed
