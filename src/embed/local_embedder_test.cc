// The embedder as its callers see it: text to vector on threads of its own, bounded, ending cleanly.
#include "embed/local_embedder.h"

#include <gmock/gmock.h>

#include <atomic>
#include <cstring>
#include <fstream>
#include <future>

#include "base/temporary_directory.h"
#include "embed/embed_fixture.h"
#include "embed/find_embedder.h"
#include "embed/tiny_bert.h"
#include "embed/vector.h"

namespace payonce::embed {
namespace {

using testing::HasSubstr;

std::unique_ptr<LocalEmbedder> make(LocalEmbedder::Options options) {
  auto made = LocalEmbedder::make(std::move(options));
  EXPECT_TRUE(made.has_value()) << made.error().message;
  return made ? *std::move(made) : nullptr;
}

std::future<base::Result<Embedding>> ask(Embedder& embedder, const std::string& text) {
  auto promise = std::make_shared<std::promise<base::Result<Embedding>>>();
  auto future = promise->get_future();
  const auto taken =
      embedder.embed(text, [promise](base::Result<Embedding> result) { promise->set_value(std::move(result)); });
  if (!taken) promise->set_value(base::fail(taken.error()));
  return future;
}

TEST(MiniLm, GivesTheReferencesVectorsWhateverIsAskedAtOnce) {
  PAYONCE_NEEDS_EMBEDDER();
  base::Metrics metrics;
  const auto golden = golden_embeddings();
  std::vector<std::vector<float>> first;
  for (const int threads : {1, 3}) {
    const auto embedder = make({.file = minilm(), .threads = threads, .metrics = &metrics});
    std::vector<std::future<base::Result<Embedding>>> answers;
    for (const Golden& each : golden) answers.push_back(ask(*embedder, each.text));
    for (size_t i = 0; i < golden.size(); ++i) {
      const auto answer = answers[i].get();
      ASSERT_TRUE(answer.has_value()) << golden[i].text;
      if (answer->tokens == static_cast<int32_t>(golden[i].ids.size())) {  // not the text with spacing marks
        EXPECT_LT(worst_difference(answer->vector, golden[i].vector), 1e-3F) << golden[i].text;
      }
      EXPECT_EQ(answer->truncated, golden[i].truncated);
      EXPECT_LE(answer->tokens, 256);
      if (threads == 1) first.push_back(answer->vector);
      EXPECT_EQ(answer->vector, first[i]) << golden[i].text;
    }
  }
  EXPECT_EQ(metrics.counter("payonce_embedder_texts_total", {{"outcome", "embedded"}}).value(),
            static_cast<double>(2 * golden.size()));
  EXPECT_EQ(metrics.gauge("payonce_embedder_queue").value(), 0);
}

TEST(MiniLm, GivesTheReferencesTokenVectors) {
  PAYONCE_NEEDS_EMBEDDER();
  const auto embedder = make({.file = minilm()});
  size_t compared = 0;
  for (const Golden& each : golden_embeddings()) {
    if (each.token_vectors.empty()) continue;
    const auto answer = ask(*embedder, each.text).get();
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->token_ids, std::vector<int32_t>(each.ids.begin() + 1, each.ids.end() - 1));
    EXPECT_EQ(answer->token_vectors.size(), answer->token_ids.size() * static_cast<size_t>(embedder->width()));
    EXPECT_LT(worst_difference(answer->token_vectors, each.token_vectors), 1e-3F) << each.text;
    ++compared;
  }
  EXPECT_GE(compared, 2U);
}

TEST(MiniLm, FewerDimensionsAreTheFirstOnesMadeLengthOne) {
  PAYONCE_NEEDS_EMBEDDER();
  const auto whole = make({.file = minilm()});
  const auto part = make({.file = minilm(), .dimensions = 64});
  EXPECT_EQ(whole->dimensions(), 384);
  EXPECT_EQ(part->dimensions(), 64);
  EXPECT_EQ(part->width(), 384);
  EXPECT_EQ(part->model(), "all-MiniLM-L6-v2");
  EXPECT_NE(part->identity(), whole->identity());
  auto expected = ask(*whole, "What is a cache?").get()->vector;
  expected.resize(64);
  ASSERT_TRUE(normalize(expected).has_value());
  EXPECT_LT(worst_difference(ask(*part, "What is a cache?").get()->vector, expected), 1e-6F);
}

class TinyEmbedder : public testing::Test {
 protected:
  void SetUp() override { TinyBert({}).write(file_.path()); }
  ScratchFile file_;
};

TEST_F(TinyEmbedder, RefusesWhatIsNoText) {
  const auto embedder = make({.file = file_.path()});
  EXPECT_EQ(ask(*embedder, "").get().error().code, base::Code::kInvalid);
  const auto answer = ask(*embedder, "a\xff").get();
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, base::Code::kInvalid);
  EXPECT_THAT(answer.error().message, HasSubstr("not UTF-8"));
}

TEST_F(TinyEmbedder, SaysWhatFilesAndDimensionsItDoesNotTake) {
  EXPECT_EQ(LocalEmbedder::make({.file = file_.path() + ".none"}).error().code, base::Code::kNotFound);
  const auto wide = LocalEmbedder::make({.file = file_.path(), .dimensions = 33});
  ASSERT_FALSE(wide.has_value());
  EXPECT_THAT(wide.error().message, HasSubstr("33 dimensions"));
  EXPECT_FALSE(LocalEmbedder::make({.file = file_.path(), .dimensions = -1}).has_value());
}

TEST_F(TinyEmbedder, AFileThatHasChangedSinceTheStartIsNotUsed) {
  const auto embedder = make({.file = file_.path()});
  ScratchFile other;
  TinyBert({}, 2).write(other.path());
  std::filesystem::rename(other.path(), file_.path());
  const auto answer = ask(*embedder, "a").get();
  ASSERT_FALSE(answer.has_value());
  EXPECT_THAT(answer.error().message, HasSubstr("has changed since the start"));
}

TEST_F(TinyEmbedder, TakesNoMoreThanItsQueueHolds) {
  base::Metrics metrics;
  const auto embedder = make({.file = file_.path(), .queue_limit = 2, .metrics = &metrics});
  std::promise<void> begun, go_on;
  ASSERT_TRUE(embedder->embed("a", [&](const base::Result<Embedding>&) {
    begun.set_value();
    go_on.get_future().wait();
  }));
  begun.get_future().wait();
  auto second = ask(*embedder, "b"), third = ask(*embedder, "c");
  EXPECT_EQ(metrics.gauge("payonce_embedder_queue").value(), 2);
  const auto refused = ask(*embedder, "d").get();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, base::Code::kExhausted);
  EXPECT_EQ(metrics.counter("payonce_embedder_texts_total", {{"outcome", "refused"}}).value(), 1);
  go_on.set_value();
  EXPECT_TRUE(second.get().has_value());
  EXPECT_TRUE(third.get().has_value());
}

TEST_F(TinyEmbedder, AnswersEachTextOnceWhenItEnds) {
  auto embedder = make({.file = file_.path()});
  std::promise<void> begun, go_on;
  std::atomic<int> first{0}, waiting{0};
  ASSERT_TRUE(embedder->embed("a", [&](const base::Result<Embedding>& result) {
    first += result.has_value() ? 1 : 100;
    begun.set_value();
    go_on.get_future().wait();
  }));
  begun.get_future().wait();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(embedder->embed("b", [&](const base::Result<Embedding>& result) {
      EXPECT_EQ(result.error().code, base::Code::kUnavailable);
      if (++waiting == 3) go_on.set_value();  // lets the thread go that the destructor waits for
    }));
  }
  embedder.reset();
  EXPECT_EQ(first, 1);
  EXPECT_EQ(waiting, 3);
}

TEST_F(TinyEmbedder, AReceiverThatThrowsBringsNobodyDown) {
  const auto embedder = make({.file = file_.path()});
  ASSERT_TRUE(embedder->embed("a", [](const base::Result<Embedding>&) { throw std::runtime_error("no"); }));
  EXPECT_TRUE(ask(*embedder, "b").get().has_value());
}

TEST_F(TinyEmbedder, ALongTextIsCutAndSaysSo) {
  const auto embedder = make({.file = file_.path()});
  std::string text;
  for (int i = 0; i < 5000; ++i) text += i % 2 ? "a " : "b ";
  const auto answer = ask(*embedder, text).get();
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(answer->truncated);
  EXPECT_EQ(answer->tokens, 24);
  EXPECT_EQ(answer->token_ids.size(), 22U);
  EXPECT_EQ(answer->vector, ask(*embedder, text.substr(0, 60)).get()->vector);
}

class FindEmbedder : public testing::Test {
 protected:
  std::string put(const std::string& folder) {
    std::filesystem::create_directories(root_ / folder);
    const auto file = root_ / folder / kDefaultEmbedder;
    std::ofstream(file) << "x";
    return file.string();
  }
  std::string find(std::map<std::string, std::string> variables) {
    return find_embedder([&](const char* name) { return variables[name]; }, (root_ / "bin/payonce").string());
  }
  base::TemporaryDirectory directory_;
  const std::filesystem::path root_ = directory_.path();
};

TEST_F(FindEmbedder, GoesFromTheVariableToTheCacheToThePackage) {
  const std::string home = root_ / "home", cache = root_ / "cache", user = root_ / "user";
  EXPECT_EQ(find({{"HOME", user}}), "");
  const std::string shared = put("share/payonce");
  EXPECT_EQ(find({{"HOME", user}}), shared);
  const std::string under_user = put("user/.cache/payonce/models");
  EXPECT_EQ(find({{"HOME", user}}), under_user);
  const std::string under_cache = put("cache/payonce/models");
  EXPECT_EQ(find({{"HOME", user}, {"XDG_CACHE_HOME", cache}}), under_cache);
  EXPECT_EQ(find({{"HOME", user}, {"XDG_CACHE_HOME", cache}, {"PAYONCE_HOME", home}}), shared);
  const std::string under_home = put("home/models");
  EXPECT_EQ(find({{"HOME", user}, {"XDG_CACHE_HOME", cache}, {"PAYONCE_HOME", home}}), under_home);
  EXPECT_EQ(find({{"PAYONCE_HOME", home}, {"PAYONCE_EMBEDDER", "/own.gguf"}}), "/own.gguf");
}

}  // namespace
}  // namespace payonce::embed
