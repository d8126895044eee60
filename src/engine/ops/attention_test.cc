#include "engine/ops/attention.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "base/assert.h"
#include "engine/ops/attention_fixture.h"

namespace payonce::engine {
namespace {

std::vector<std::string> isas() {
  std::vector<std::string> result;
  for (const char* isa : {"avx512", "avx2", "neon", "portable"}) {
    if (attention_kernels(isa) != nullptr) result.emplace_back(isa);
  }
  return result;
}

// Largest error, in parts of the largest output.
double error_of(const std::vector<float>& out, const std::vector<double>& reference) {
  double error = 0, largest = 0;
  EXPECT_EQ(out.size(), reference.size());
  for (size_t i = 0; i < out.size(); ++i) {
    if (!std::isfinite(out[i])) return std::numeric_limits<double>::infinity();
    error = std::max(error, std::fabs(double{out[i]} - reference[i]));
    largest = std::max(largest, std::fabs(reference[i]));
  }
  return error / largest;
}

bool equal_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// The bound is that of F32 sums over head_dim and 256 tokens, measured 2e-7 to 7e-7, with room.
constexpr double kBound = 2e-6;

struct Case {
  int q_heads, kv_heads, head_dim;
  KvType type;
  int window;
};

class AttentionCases : public testing::TestWithParam<Case> {
 protected:
  Scene scene() const {
    const Case& of = GetParam();
    return Scene({.q_heads = of.q_heads,
                  .kv_heads = of.kv_heads,
                  .head_dim = of.head_dim,
                  .type = of.type,
                  .window = of.window});
  }
};

TEST_P(AttentionCases, EqualFloat64OnEveryInstructionSet) {
  Scene scene = this->scene();
  for (const int32_t tokens : {1, 15, 16, 17, 255, 256, 257, 700}) scene.add(tokens);
  scene.add(300, 60);
  scene.add(41, 41);
  const auto best = scene.run();
  EXPECT_LT(error_of(best, scene.reference()), kBound);
  for (const std::string& isa : isas()) EXPECT_TRUE(equal_bits(scene.run(isa), best)) << isa;
}

TEST_P(AttentionCases, GiveTheSameBitsAloneInABatchAndWithAnyThreads) {
  Scene scene = this->scene();
  scene.add(620);
  scene.add(620, 1, 0, 600);
  scene.add(900, 1, 0, 512);
  scene.add(530, 2, 0, 512);
  scene.add(530, 1, 3, 528);
  scene.add(600, 150);
  scene.add(77);
  const auto together = scene.run();
  for (const int threads : {2, 3, 4, 16}) EXPECT_TRUE(equal_bits(scene.run("", threads), together)) << threads;
  std::vector<float> alone(together.size());
  for (const SequenceRows& rows : scene.batch()) {
    const auto out = scene.run(std::vector{rows});
    const size_t begin = static_cast<size_t>(rows.first_row) * scene.row_floats(scene.shape.q_heads);
    std::copy_n(out.begin() + static_cast<std::ptrdiff_t>(begin),
                static_cast<size_t>(rows.rows) * scene.row_floats(scene.shape.q_heads),
                alone.begin() + static_cast<std::ptrdiff_t>(begin));
  }
  EXPECT_TRUE(equal_bits(alone, together));
}

TEST_P(AttentionCases, GiveTheSameBitsInPrefillAndDecode) {
  Scene scene = this->scene();
  scene.add(400, 300);
  const auto prefill = scene.run();
  std::vector<SequenceRows> rows;
  for (int32_t i = 0; i < 300; ++i) rows.push_back({i, 1, 100 + i, scene.sequences[0].blocks});
  EXPECT_TRUE(equal_bits(scene.run(rows), prefill));
  EXPECT_TRUE(equal_bits(scene.run({{0, 7, 100, scene.sequences[0].blocks},
                                    {7, 93, 107, scene.sequences[0].blocks},
                                    {100, 200, 200, scene.sequences[0].blocks}}),
                         prefill));
}

TEST_P(AttentionCases, DoNotSeeWhatIsMasked) {
  Scene scene = this->scene();
  scene.add(333, 1);
  scene.add(290, 40);
  const auto before = scene.run();
  for (const AttentionSequence& sequence : scene.sequences) {  // unused slots hold what an earlier owner left
    for (int32_t slot = sequence.tokens % kPageTokens; slot < kPageTokens; ++slot) {
      const auto junk = scene.numbers(scene.row_floats(scene.shape.page.kv_heads), 1e6F);
      store_token(scene.shape.page, scene.page(sequence.blocks.back()), slot, junk.data(), junk.data());
    }
  }
  EXPECT_TRUE(equal_bits(scene.run(), before));
  if (scene.shape.window == 0) return;
  scene.drop_dead_blocks();
  EXPECT_TRUE(equal_bits(scene.run(), before));
}

TEST_P(AttentionCases, DoNotDependOnWhereBlocksLie) {
  Scene scene = this->scene();
  scene.add(500, 3);
  const auto before = scene.run();
  for (int32_t& block : scene.sequences[0].blocks) {
    const int32_t to = 511 - block;  // of 512; its page moves along
    if (std::find(scene.sequences[0].blocks.begin(), scene.sequences[0].blocks.end(), to) !=
        scene.sequences[0].blocks.end()) {
      continue;
    }
    std::memcpy(scene.page(to), scene.page(block), page_bytes(scene.shape.page));
    block = to;
  }
  EXPECT_TRUE(equal_bits(scene.run(), before));
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionCases,
                         testing::Values(Case{9, 3, 64, KvType::kF16, 0}, Case{14, 2, 64, KvType::kF16, 0},
                                         Case{4, 1, 256, KvType::kF16, 0}, Case{4, 1, 256, KvType::kF16, 200},
                                         Case{3, 3, 80, KvType::kF16, 0}, Case{4, 2, 96, KvType::kF16, 33},
                                         Case{2, 1, 24, KvType::kF16, 0}, Case{2, 2, 8, KvType::kF16, 5},
                                         Case{6, 3, 128, KvType::kQ8_0, 0}, Case{9, 3, 64, KvType::kQ8_0, 0},
                                         Case{4, 1, 256, KvType::kQ8_0, 512}, Case{71, 1, 64, KvType::kF16, 0},
                                         Case{5, 1, 32, KvType::kQ8_0, 100}),
                         [](const auto& test) {
                           const Case& of = test.param;
                           const std::string name =
                               fmt::format("{}_heads_{}_for_kv_of_{}", of.q_heads, of.kv_heads, of.head_dim);
                           return name + (of.type == KvType::kQ8_0 ? "_q8_0" : "_f16") +
                                  (of.window > 0 ? fmt::format("_window_{}", of.window) : "");
                         });

TEST(Attention, IsExactOverALongFlatContext) {
  Scene scene({.q_heads = 3, .kv_heads = 1, .head_dim = 64, .pool_blocks = 2048, .key_scale = 0.05F});
  scene.add(32768);
  const auto reference = scene.reference();
  const auto out = scene.run("", 2);
  double largest = 0;
  for (size_t i = 0; i < out.size(); ++i) largest = std::max(largest, std::fabs(double{out[i]} - reference[i]));
  EXPECT_LT(largest, 1e-6);
  EXPECT_LT(error_of(out, reference), 1e-5);  // outputs are about 1/180 of the values
}

TEST(Attention, OneKvHeadOfALongContextIsSharedByAllThreads) {
  Scene scene({.q_heads = 4, .kv_heads = 1, .head_dim = 64, .pool_blocks = 600});
  scene.add(8000);
  const AttentionLayout layout = lay_out(scene.shape, scene.batch(), 4);
  EXPECT_GE(layout.units.size(), 8U);
  int32_t chunks = 0;
  for (const Unit& unit : layout.units) chunks += unit.last_chunk - unit.first_chunk;
  EXPECT_EQ(chunks, 32);
}

TEST(Attention, ASharedPrefixIsReadOnceForAll) {
  Scene scene({.q_heads = 9, .kv_heads = 3, .head_dim = 64});
  scene.add(1100);
  for (int i = 0; i < 5; ++i) scene.add(1100 + i, 1, 0, 1024);
  scene.add(1400, 1, 0, 520);
  const AttentionLayout layout = lay_out(scene.shape, scene.batch(), 1);
  int32_t blocks = 0, shared = 0;
  for (const Unit& unit : layout.units) {
    if (unit.kv_head != 0) continue;
    blocks += unit.block_count;
    if (unit.rows > 1) shared += unit.block_count;
  }
  EXPECT_EQ(shared, 64);                                  // 512 tokens of seven, the next 512 of six
  EXPECT_EQ(blocks, 64 + 6 * 5 + (1400 + 15) / 16 - 32);  // and each one's own
}

TEST(Attention, ScoresOfMinusInfinityAndNaNStayWithTheirRow) {
  Scene scene({.q_heads = 2, .kv_heads = 1, .head_dim = 32});
  scene.add(100);
  scene.add(100, 1, 0, 96);
  const auto before = scene.run();
  scene.queries[0] = std::numeric_limits<float>::quiet_NaN();
  const auto after = scene.run();
  const size_t row = scene.row_floats(2);
  EXPECT_TRUE(std::equal(before.begin() + static_cast<std::ptrdiff_t>(row), before.end(),
                         after.begin() + static_cast<std::ptrdiff_t>(row)));
}

TEST(Attention, RefusesTablesThatDoNotCoverTheirRows) {
  Scene scene({.window = 100});
  scene.add(600);
  scene.drop_dead_blocks();
  auto rows = scene.batch();
  EXPECT_NO_THROW(lay_out(scene.shape, rows, 1));
  rows[0].blocks = rows[0].blocks.first(rows[0].blocks.size() - 1);
  EXPECT_THROW(lay_out(scene.shape, rows, 1), base::AssertionFailed);
  scene.sequences[0].blocks[36] = kNoBlock;  // tokens 576 …
  EXPECT_THROW(lay_out(scene.shape, scene.batch(), 1), base::AssertionFailed);
}

TEST(Attention, AnEmptyBatchIsNothing) {
  Scene scene({});
  EXPECT_TRUE(scene.run().empty());
  scene.add(5, 0);
  EXPECT_TRUE(scene.run().empty());
}

TEST(Attention, HoldsForRandomBatches) {
  rc::check([] {
    const int kv_heads = *rc::gen::inRange(1, 4);
    const int group = *rc::gen::inRange(1, 9);
    const KvType type = *rc::gen::element(KvType::kF16, KvType::kQ8_0);
    const int head_dim = type == KvType::kF16 ? *rc::gen::inRange(1, 13) * 8 : *rc::gen::inRange(1, 4) * 32;
    Scene scene({.q_heads = kv_heads * group,
                 .kv_heads = kv_heads,
                 .head_dim = head_dim,
                 .type = type,
                 .window = *rc::gen::element(0, 0, 1, 16, 100, 300),
                 .seed = *rc::gen::arbitrary<uint64_t>()});
    for (int i = *rc::gen::inRange(1, 6); i > 0; --i) {
      const int32_t tokens = *rc::gen::inRange(1, 600);
      const int32_t rows = *rc::gen::inRange(1, std::min(tokens, 60) + 1);
      const size_t with = scene.sequences.empty() ? 0 : *rc::gen::inRange<size_t>(0, scene.sequences.size());
      const int32_t most = scene.sequences.empty() ? 0 : std::min(tokens - rows, scene.sequences[with].tokens);
      scene.add(tokens, *rc::gen::element(1, rows), with, most > 0 ? *rc::gen::inRange(0, most) : 0);
    }
    const auto out = scene.run("", 1);
    RC_ASSERT(error_of(out, scene.reference()) < kBound);
    RC_ASSERT(equal_bits(scene.run("", *rc::gen::inRange(2, 5)), out));
    for (const std::string& isa : isas()) RC_ASSERT(equal_bits(scene.run(isa), out));
  });
}

TEST(Attention, NamesItsInstructionSet) {
  const char* wanted = std::getenv("PAYONCE_ISA");
  if (wanted != nullptr && attention_kernels(wanted) != nullptr) {
    EXPECT_STREQ(attention_isa(), wanted);
  } else {
    EXPECT_STREQ(attention_isa(), isas().front().c_str());
  }
  EXPECT_EQ(attention_kernels("sse9"), nullptr);
}

}  // namespace
}  // namespace payonce::engine
