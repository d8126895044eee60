// The encoder against F64 by the book, on small random models; and files that are not what they should be.
#include "embed/bert.h"

#include <gmock/gmock.h>

#include <fstream>
#include <functional>
#include <sstream>

#include "embed/embed_fixture.h"
#include "embed/tiny_bert.h"

namespace payonce::embed {
namespace {

using testing::HasSubstr;

std::vector<int32_t> ids_of(size_t count) {
  std::vector<int32_t> out;
  for (size_t i = 0; i < count; ++i) out.push_back(static_cast<int32_t>((i * i * 7 + i + 3) % 55));
  return out;
}

struct Case {
  const char* name;
  TinyShape shape;
};

class TinyBerts : public testing::TestWithParam<std::tuple<Case, const char*>> {};

TEST_P(TinyBerts, ComputeWhatTheBookSays) {
  const auto& [what, isa] = GetParam();
  const Kernels* kernels = find_kernels(isa);
  if (!kernels) GTEST_SKIP() << "not of this CPU";
  const ScratchFile file;
  TinyBert tiny(what.shape);
  tiny.write(file.path());
  const auto bert = load_bert(file.path(), *kernels);
  ASSERT_NE(bert, nullptr);
  Bert::Workspace workspace;
  std::vector<std::vector<int32_t>> batch;
  const auto longest = static_cast<size_t>(what.shape.max_tokens);
  for (const size_t count :
       {size_t{1}, size_t{2}, size_t{3}, size_t{7}, size_t{15}, size_t{16}, size_t{17}, longest}) {
    batch.push_back(ids_of(count));
  }
  const auto all = bert->encode(batch, workspace);
  for (size_t i = 0; i < batch.size(); ++i) {
    const std::vector<double> expected = tiny.rows(batch[i]);
    ASSERT_EQ(all[i].size(), expected.size());
    double worst = 0;
    for (size_t j = 0; j < expected.size(); ++j) worst = std::max(worst, std::fabs(all[i][j] - expected[j]));
    EXPECT_LT(worst, 4e-3) << batch[i].size() << " tokens";  // numbers near 1 to 3, rounded to 16 bits at each matrix
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, TinyBerts,
    testing::Combine(testing::Values(Case{"plain", {}}, Case{"fused_qkv", {.fused_qkv = true}},
                                     Case{"without_biases", {.biases = false}},
                                     Case{"one_head", {.width = 48, .heads = 1, .ffn_width = 80}},
                                     Case{"odd_groups", {.width = 80, .heads = 5, .layers = 1, .ffn_width = 16}},
                                     Case{"longer_than_a_block", {.max_tokens = 130}},
                                     Case{"f16", {.type = GGML_TYPE_F16}}, Case{"q8_0", {.type = GGML_TYPE_Q8_0}},
                                     Case{"q4_0", {.type = GGML_TYPE_Q4_0}}, Case{"bf16", {.type = GGML_TYPE_BF16}}),
                     testing::Values("avx512", "avx2", "portable")),
    [](const auto& each) { return std::string(std::get<0>(each.param).name) + "_" + std::get<1>(each.param); });

TEST(Pooling, TakesTheMeanOrTheFirstTokenAsTheFileSays) {
  for (const int64_t pooling : {1, 2}) {
    const ScratchFile file;
    TinyBert tiny({.pooling = pooling});
    tiny.write(file.path());
    const auto bert = load_bert(file.path());
    ASSERT_NE(bert, nullptr);
    Bert::Workspace workspace;
    const std::vector<int32_t> ids = ids_of(9);
    const auto vector = bert->pool(bert->encode({&ids, 1}, workspace).front());
    const std::vector<double> rows = tiny.rows(ids);
    std::vector<double> expected(32, 0.0);
    for (size_t i = 0; i < (pooling == 1 ? rows.size() : expected.size()); ++i) expected[i % 32] += rows[i];
    double squares = 0;
    for (const double each : expected) squares += each * each;
    for (size_t d = 0; d < expected.size(); ++d) {
      EXPECT_NEAR((*vector)[d], expected[d] / std::sqrt(squares), 1e-3) << d;
    }
  }
}

class DamagedBert : public testing::Test {
 protected:
  std::string error_of(const std::function<void(TinyBert&)>& damage, const TinyShape& shape = {}) {
    const ScratchFile file;
    TinyBert tiny(shape);
    damage(tiny);
    tiny.write(file.path());
    auto opened = BertFile::open(file.path());
    if (!opened) return opened.error().message;
    const BertShape found = opened->shape;
    if (auto pieces = WordPieces::load(file.path(), found.vocab, found.max_tokens); !pieces) {
      return pieces.error().message;
    }
    auto bert = Bert::load(*std::move(opened));
    return bert ? "loaded" : bert.error().message;
  }
};

TEST_F(DamagedBert, SaysWhatIsWrong) {
  const auto text = [](const char* key, const char* value) {
    return [=](TinyBert& tiny) { gguf_set_val_str(tiny.keys(), key, value); };
  };
  const auto number = [](const char* key, uint32_t value) {
    return [=](TinyBert& tiny) { gguf_set_val_u32(tiny.keys(), key, value); };
  };
  const auto without = [](const char* key) { return [=](TinyBert& tiny) { gguf_remove_key(tiny.keys(), key); }; };
  EXPECT_EQ(error_of([](TinyBert&) {}), "loaded");
  EXPECT_THAT(error_of(text("general.architecture", "nomic-bert")), HasSubstr("architecture 'nomic-bert' is not an"));
  EXPECT_THAT(error_of(number("bert.pooling_type", 4)),
              HasSubstr("is 4 (a reranker), expected 1 (mean) or 2 ([CLS])"));
  EXPECT_THAT(error_of(number("bert.pooling_type", 0)), HasSubstr("is 0 (none)"));
  EXPECT_THAT(error_of(number("bert.context_length", 25)), HasSubstr("24 rows, but the context is 25 tokens"));
  EXPECT_THAT(error_of(number("bert.context_length", 2)), HasSubstr("no room for a text"));
  EXPECT_THAT(error_of(number("bert.block_count", 3)), HasSubstr("tensor 'blk.2.attn_q.weight' is missing"));
  EXPECT_THAT(error_of(number("bert.block_count", 0)), HasSubstr("'bert.block_count' is 0, expected 1 to 512"));
  EXPECT_THAT(error_of(without("bert.block_count")), HasSubstr("'bert.block_count' is missing"));
  EXPECT_THAT(error_of(number("bert.attention.head_count", 3)), HasSubstr("width 32 in 3 heads"));
  EXPECT_THAT(error_of(number("bert.attention.head_count", 4)), HasSubstr("expected multiples of 16"));
  EXPECT_THAT(error_of(number("bert.feed_forward_length", 128)), HasSubstr("is [32, 64], expected [32, 128]"));
  EXPECT_THAT(error_of(text("tokenizer.ggml.model", "t5")), HasSubstr("tokenizer 't5' is not supported"));
  EXPECT_THAT(error_of(without("tokenizer.ggml.model")), HasSubstr("no tokenizer"));
  // The default ids, 100 to 102, lie beyond this small vocabulary.
  EXPECT_THAT(error_of(without("tokenizer.ggml.bos_token_id")),
              HasSubstr("adds a BOS or EOS token that it does not"));
  EXPECT_THAT(error_of(without("tokenizer.ggml.seperator_token_id")), HasSubstr("no [CLS], [SEP] or [UNK]"));
  EXPECT_THAT(error_of(number("tokenizer.ggml.unknown_token_id", 55)), HasSubstr("no [CLS], [SEP] or [UNK]"));
}

TEST_F(DamagedBert, RefusesWhatIsNoNumber) {
  const auto spoil = [](const char* name, float value) {
    return [=](TinyBert& tiny) { static_cast<float*>(tiny.tensor(name)->data)[40] = value; };
  };
  EXPECT_THAT(error_of(spoil("blk.1.ffn_up.weight", NAN)),
              HasSubstr("tensor 'blk.1.ffn_up.weight' holds a value that is no number (row 1)"));
  EXPECT_THAT(error_of(spoil("position_embd.weight", INFINITY)), HasSubstr("'position_embd.weight' holds a value"));
}

TEST_F(DamagedBert, ABrokenWordIsAnErrorOfTheTextThatHasIt) {
  const ScratchFile file;
  TinyBert tiny({});
  static_cast<float*>(tiny.tensor("token_embd.weight")->data)[TinyBert::kFirstLetter * 32] = NAN;
  tiny.write(file.path());
  const auto bert = load_bert(file.path());
  ASSERT_NE(bert, nullptr);
  Bert::Workspace workspace;
  const std::vector<std::vector<int32_t>> texts = {{1, 3, 2}, {1, 4, 2}};
  const auto rows = bert->encode(texts, workspace);
  const auto spoiled = bert->pool(rows[0]);
  ASSERT_FALSE(spoiled.has_value());
  EXPECT_EQ(spoiled.error().code, base::Code::kInternal);
  EXPECT_TRUE(bert->pool(rows[1]).has_value());
}

TEST_F(DamagedBert, IsRefusedWhereverItIsCut) {
  const ScratchFile whole, cut;
  TinyBert tiny({.layers = 1, .max_tokens = 4});
  tiny.write(whole.path());
  std::ostringstream content;
  content << std::ifstream(whole.path(), std::ios::binary).rdbuf();
  const std::string bytes = content.str();
  const size_t header = gguf_get_meta_size(tiny.keys());
  for (size_t size = 0; size < bytes.size(); size += size < header ? 13 : 997) {
    std::ofstream(cut.path(), std::ios::binary | std::ios::trunc) << bytes.substr(0, size);
    const auto opened = BertFile::open(cut.path());
    ASSERT_FALSE(opened.has_value()) << size << " of " << bytes.size();
    EXPECT_EQ(opened.error().code, base::Code::kInvalid);
    EXPECT_THAT(opened.error().message, HasSubstr(cut.path()));
  }
}

}  // namespace
}  // namespace payonce::embed
