#include "semantic/verifier/verifier.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "base/hash.h"
#include "base/little_endian.h"
#include "base/logistic.h"
#include "semantic/verifier/dot.h"
#include "semantic/verifier/pair_fixture.h"
#include "source_tree/source_tree.h"

namespace payonce::semantic {
namespace {

const Verifier& built_in() {
  static const Verifier verifier = Verifier::built_in().value();
  return verifier;
}

// A token's vector points along one axis: equal ids are equal vectors, others are at right angles.
Question with_tokens(std::string_view text, std::vector<int32_t> ids) {
  embed::Embedding embedding;
  constexpr size_t kWidth = 64;
  for (const int32_t id : ids) {
    std::vector<float> vector(kWidth, 0.0f);
    vector[static_cast<size_t>(id) % kWidth] = 1;
    embedding.token_vectors.insert(embedding.token_vectors.end(), vector.begin(), vector.end());
  }
  embedding.token_ids = std::move(ids);
  return make_question(text, embedding);
}

TEST(Verifier, EqualTextsAreOneAnswer) {
  for (const std::string_view text : {"how do I reset my password", "who leads the sales team in Oslo", "hi", "?"}) {
    const Question one = question(text);
    EXPECT_GT(base::logistic(built_in().judge(one, one, {.cosine = 1}).logit), 0.8) << text;
    EXPECT_EQ(built_in().judge(one, one, {.cosine = 1}).conflict, Conflict::kNone);
  }
}

TEST(Verifier, FarTextsAreNot) {
  const auto judgement =
      built_in().judge(question("how do I bake bread"), question("who won the cup"), {.cosine = 0.1f});
  EXPECT_LT(base::logistic(judgement.logit), 0.05);
}

TEST(Verifier, LightGbmAndThisProgramAgree) {
  std::ifstream file(source_tree::path("tests/data/verifier/sample.txt"));
  ASSERT_TRUE(file);
  size_t rows = 0;
  for (std::string line; std::getline(file, line); ++rows) {
    std::istringstream in(line);
    Features features;
    std::string word;
    for (float& value : features) {
      in >> word;
      value = word == "nan" ? std::nanf("") : std::stof(word);
    }
    double expected = 0;
    in >> expected;
    EXPECT_NEAR(built_in().logit(features), expected, 1e-6) << "row " << rows;
  }
  EXPECT_EQ(rows, 80u);
}

RC_GTEST_PROP(Verifier, AnyTwoTextsGetAFiniteNumberInEitherOrder,
              (const std::string& a, const std::string& b, float c)) {
  const Neighbourhood near{.cosine = std::isfinite(c) ? c : 0.5f};
  const Judgement there = built_in().judge(question(a), question(b), near);
  const Judgement back = built_in().judge(question(b), question(a), near);
  RC_ASSERT(std::isfinite(there.logit));
  RC_ASSERT(there.logit == back.logit);
  RC_ASSERT(there.conflict == back.conflict);
}

// Words that may each be another's misspelling: who is whose partner must not depend on who asks.
RC_GTEST_PROP(Verifier, LikeWordsPairTheSameWayInEitherOrder, ()) {
  const auto letters = rc::gen::container<std::string>(5, rc::gen::element('k', 'o', 'l'));
  const auto words = *rc::gen::pair(rc::gen::container<std::vector<std::string>>(letters),
                                    rc::gen::container<std::vector<std::string>>(letters));
  const auto joined = [](const std::vector<std::string>& parts) {
    std::string out;
    for (const std::string& part : parts) (out += part) += ' ';
    return out;
  };
  const Question a = question(joined(words.first));
  const Question b = question(joined(words.second));
  RC_ASSERT(built_in().judge(a, b, {.cosine = 0.9f}).logit == built_in().judge(b, a, {.cosine = 0.9f}).logit);
}

TEST(Verifier, NeighboursWithTheSameAnswerAreVotes) {
  const Other others[] = {{0.9f, true}, {0.85f, false}, {0.7f, true}};
  const Neighbourhood near = neighbourhood(0.95f, others);
  EXPECT_FLOAT_EQ(near.same_cosine, 0.9f);
  EXPECT_FLOAT_EQ(near.other_cosine, 0.85f);
  EXPECT_FLOAT_EQ(near.votes, 3);
  EXPECT_FLOAT_EQ(near.crowd, 3);
}

TEST(Tokens, AlignWithTheirEquals) {
  const Question a = with_tokens("red apple pie", {3000, 4001, 5002});
  const Question b = with_tokens("pie red apple", {5002, 3000, 4001});
  const auto [first, second] = align(a.tokens, b.tokens);
  EXPECT_NEAR(first.mean, 1, 1e-3);
  EXPECT_NEAR(second.worst, 1, 1e-3);
  EXPECT_FLOAT_EQ(first.unshared, 0);
  EXPECT_FLOAT_EQ(first.misaligned, 0);
  EXPECT_GT(first.inverted, 0);
}

TEST(Tokens, AWordThatTheOtherLacksWeighsByItsRarity) {
  const Question a = with_tokens("a b", {3000, 28000});
  const Question b = with_tokens("a", {3000});
  const auto [first, second] = align(a.tokens, b.tokens);
  EXPECT_GT(first.unshared, 0.5f);
  EXPECT_FLOAT_EQ(second.unshared, 0);
  EXPECT_GT(token_weight(28000), token_weight(3000));
  EXPECT_FLOAT_EQ(token_weight(1012), 0);  // a full stop
}

TEST(Tokens, AreCutAndMissingOnesAreMissingFeatures) {
  EXPECT_EQ(with_tokens("many", std::vector<int32_t>(50, 3000)).tokens.count(), kMaxTokens);
  const Question one = question("no tokens");
  const Features row = features(one, one, {.cosine = 1}, difference(one.text, one.text));
  EXPECT_TRUE(std::isnan(row[static_cast<size_t>(Feature::token_mean_low)]));
  EXPECT_FALSE(std::isnan(row[static_cast<size_t>(Feature::word_overlap)]));
}

RC_GTEST_PROP(Tokens, DotProductsAreThoseOfPlainCode, ()) {
  const auto size = *rc::gen::inRange<size_t>(0, 400);
  const auto a = *rc::gen::container<std::vector<int8_t>>(size, rc::gen::inRange<int8_t>(-127, 127));
  const auto b = *rc::gen::container<std::vector<int8_t>>(size, rc::gen::inRange<int8_t>(-127, 127));
  RC_ASSERT(dot_int8(a.data(), b.data(), size) == dot_int8_plain(a.data(), b.data(), size));
}

// ---- the model file -------------------------------------------------------------------------------

std::string sealed(std::string body) {
  const base::Digest digest = base::sha256(body);
  return body.append(reinterpret_cast<const char*>(digest.data()), digest.size());
}

// One tree of one node on feature "a": 0.5 or less gives -1, more gives 2; NaN goes left.
std::string tiny_body(int16_t left = -1, uint16_t feature = 0) {
  std::string body = "PAYOTREE";
  base::put_number<uint32_t>(body, 1);
  base::put_number<uint16_t>(body, 1);
  body += "\1a";
  for (const double number : {2.0, 0.5}) base::put_number(body, std::bit_cast<uint64_t>(number));
  base::put_number<uint32_t>(body, 1);
  base::put_number<uint16_t>(body, 2);
  base::put_number<uint16_t>(body, feature);
  body += '\1';
  base::put_number(body, std::bit_cast<uint32_t>(0.5f));
  base::put_number<int16_t>(body, left);
  base::put_number<int16_t>(body, -2);
  for (const double leaf : {-1.0, 2.0}) base::put_number(body, std::bit_cast<uint64_t>(leaf));
  return body;
}

base::Result<Trees> parsed(const std::string& bytes) {
  static constexpr std::string_view kNames[] = {"a"};
  return Trees::parse(bytes, kNames);
}

TEST(Trees, WalkToTheirLeaves) {
  const auto trees = parsed(sealed(tiny_body()));
  ASSERT_TRUE(trees) << trees.error().message;
  const auto logit = [&](float value) { return trees->logit(std::span(&value, 1)); };
  EXPECT_DOUBLE_EQ(logit(0.5f), -1.5);
  EXPECT_DOUBLE_EQ(logit(0.6f), 4.5);
  EXPECT_DOUBLE_EQ(logit(std::nanf("")), -1.5);
}

TEST(Trees, RefuseWhatIsNoModel) {
  const auto message = [](const std::string& bytes) {
    const auto trees = parsed(bytes);
    return trees ? std::string("accepted") : trees.error().message;
  };
  const auto has = [&](const std::string& bytes, std::string_view part) {
    return message(bytes).find(part) != std::string::npos ? std::string(part) : message(bytes);
  };
  EXPECT_EQ(has("", "begins with"), "begins with");
  std::string changed = sealed(tiny_body());
  changed[20] = static_cast<char>(changed[20] ^ 1);
  EXPECT_EQ(has(changed, "checksum"), "checksum");
  EXPECT_EQ(has(sealed(tiny_body() + "x"), "bytes follow"), "bytes follow");
  EXPECT_EQ(has(sealed(tiny_body().substr(0, tiny_body().size() - 4)), "ends early"), "ends early");
  EXPECT_EQ(has(sealed(tiny_body(0)), "node 0"), "node 0");  // a circle
  EXPECT_EQ(has(sealed(tiny_body(-3)), "node 0"), "node 0");
  EXPECT_EQ(has(sealed(tiny_body(-1, 1)), "node 0"), "node 0");
  std::string version = tiny_body();
  version[8] = 9;
  EXPECT_EQ(has(sealed(version), "expected version 1, found 9"), "expected version 1, found 9");
}

TEST(Trees, OfOtherFeaturesAreRefused) {
  static constexpr std::string_view kNames[] = {"b"};
  const auto trees = Trees::parse(sealed(tiny_body()), kNames);
  ASSERT_FALSE(trees);
  EXPECT_EQ(trees.error().code, base::Code::kInvalid);
}

TEST(Verifier, AMissingFileIsSaid) {
  const auto verifier = Verifier::load("/nonexistent/model.bin");
  ASSERT_FALSE(verifier);
  EXPECT_EQ(verifier.error().code, base::Code::kNotFound);
}

}  // namespace
}  // namespace payonce::semantic
