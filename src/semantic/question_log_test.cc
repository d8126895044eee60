#include "semantic/question_log.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <random>

#include "base/temporary_directory.h"

namespace payonce::semantic {
namespace {

StoredQuestion question_of(uint32_t seed, size_t tokens = 5) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  StoredQuestion out{.group = "ctx:v1:u-1:" + std::to_string(seed % 3),
                     .key = "resp:" + std::to_string(seed),
                     .question = "What is ☃ " + std::to_string(seed) + "?",
                     .answer = {seed, seed + 1},
                     .expires_ms = 1'000 + seed,
                     .embedding = {}};
  for (int d = 0; d < 48; ++d) out.embedding.vector.push_back(normal(random));
  for (size_t i = 0; i < tokens; ++i) {
    out.embedding.token_ids.push_back(static_cast<int32_t>(random() % 30'000));
    for (int d = 0; d < 48; ++d) out.embedding.token_vectors.push_back(normal(random));
  }
  return out;
}

void expect_same(const StoredQuestion& a, const StoredQuestion& b) {
  EXPECT_EQ(a.group, b.group);
  EXPECT_EQ(a.key, b.key);
  EXPECT_EQ(a.question, b.question);
  EXPECT_EQ(a.answer, b.answer);
  EXPECT_EQ(a.expires_ms, b.expires_ms);
  ASSERT_EQ(a.embedding.vector.size(), b.embedding.vector.size());
  for (size_t i = 0; i < a.embedding.vector.size(); ++i)
    EXPECT_NEAR(a.embedding.vector[i], b.embedding.vector[i], 0.02F);
}

TEST(QuestionRecord, ComesBackAsItWas) {
  for (const size_t tokens : {0UL, 1UL, 32UL}) {
    const StoredQuestion question = question_of(7, tokens);
    const auto read = decode_question(encode_question(question));
    ASSERT_TRUE(read) << read.error().message;
    expect_same(question, *read);
    EXPECT_EQ(read->embedding.token_ids, question.embedding.token_ids);
    EXPECT_EQ(read->embedding.token_vectors.size(), 48 * tokens);
    // Kept once, it stays as it is: what a restart reads and a rewrite writes is no further away.
    EXPECT_EQ(decode_question(encode_question(*read))->embedding.vector, read->embedding.vector);
  }
  EXPECT_EQ(decode_question(encode_question(question_of(7, 100)))->embedding.token_ids.size(), kMaxStoredTokens);
}

TEST(QuestionRecord, DamagedBytesAreRefused) {
  const std::string good = encode_question(question_of(1));
  for (size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(decode_question(good.substr(0, size))) << size;
  EXPECT_FALSE(decode_question(good + "x"));
  rc::check("random bytes never crash", [](const std::string& bytes) { (void)decode_question(bytes); });
}

struct QuestionLogTest : testing::Test {
  std::vector<StoredQuestion> reopen(const std::string& identity = "minilm") {
    log.reset();
    pool.drain();
    log = std::make_unique<QuestionLog>(QuestionLog::Options{.path = path}, identity, env, pool);
    std::vector<StoredQuestion> out;
    log->read([&](StoredQuestion question) { out.push_back(std::move(question)); });
    return out;
  }
  base::TemporaryDirectory directory;
  std::string path = directory.path() + "/questions.log";
  base::PosixEnv env;
  base::WorkerPool pool{{.threads = 2}};
  std::unique_ptr<QuestionLog> log;
};

TEST_F(QuestionLogTest, SurvivesARestart) {
  EXPECT_TRUE(reopen().empty());
  for (uint32_t i = 0; i < 50; ++i) log->append(question_of(i));
  const auto read = reopen();
  ASSERT_EQ(read.size(), 50U);
  for (uint32_t i = 0; i < 50; ++i) expect_same(read[i], question_of(i));
  log->append(question_of(50));
  EXPECT_EQ(reopen().size(), 51U);
}

TEST_F(QuestionLogTest, ATornTailCostsItselfAlone) {
  (void)reopen();
  for (uint32_t i = 0; i < 3; ++i) log->append(question_of(i));
  (void)reopen();
  log.reset();
  const std::string whole = base::read_file(env, path).value();
  const size_t record = (whole.size() - 40) / 3;
  for (const size_t cut : {1UL, record / 2, record - 1}) {
    ASSERT_TRUE(base::write_file_atomic(env, path, whole.substr(0, whole.size() - cut)));
    EXPECT_EQ(reopen().size(), 2U) << cut;
    log->append(question_of(9));
    EXPECT_EQ(reopen().size(), 3U) << cut;
    log.reset();
  }
  std::string flipped = whole;
  flipped[40 + record + record / 2] ^= 1;  // in the second
  ASSERT_TRUE(base::write_file_atomic(env, path, flipped));
  EXPECT_EQ(reopen().size(), 1U);
}

TEST_F(QuestionLogTest, VectorsOfAnotherEmbedderAreNotRead) {
  (void)reopen();
  log->append(question_of(1));
  EXPECT_TRUE(reopen("another").empty());
  log->append(question_of(2));
  EXPECT_EQ(reopen("another").size(), 1U);
  EXPECT_TRUE(reopen("minilm").empty());
}

TEST_F(QuestionLogTest, WhatWasPurgedLeavesTheDisk) {
  (void)reopen();
  for (uint32_t i = 0; i < 10; ++i) log->append(question_of(i));
  log->flush();
  log->keep_only([](const std::string& key) { return key != "resp:3"; });
  pool.drain();
  EXPECT_EQ(base::read_file(env, path).value().find("☃ 3?"), std::string::npos);
  log->append(question_of(11));
  EXPECT_EQ(reopen().size(), 10U);
}

TEST_F(QuestionLogTest, AFullFileOrAMissingDirectoryStopsTheWritingAndNothingElse) {
  log = std::make_unique<QuestionLog>(QuestionLog::Options{.path = path, .max_bytes = 2'000}, "minilm", env, pool);
  log->read([](StoredQuestion) {});
  for (uint32_t i = 0; i < 100; ++i) log->append(question_of(i));
  const size_t kept = reopen().size();
  EXPECT_GT(kept, 0U);
  EXPECT_LT(kept, 10U);
  log = std::make_unique<QuestionLog>(QuestionLog::Options{.path = "/nowhere/questions.log"}, "minilm", env, pool);
  log->read([](StoredQuestion) { FAIL(); });
  log->append(question_of(1));
}

}  // namespace
}  // namespace payonce::semantic
