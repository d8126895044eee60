// Our graphs beside transformers (golden values, tests/data/golden_logits) and llama.cpp, on random F32 weights,
// where nothing is quantised but the KV cache's F16.
#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "base/hash.h"
#include "engine/model/model_fixture.h"
#include "source_tree/source_tree.h"

namespace payonce::engine {
namespace {

struct Golden {
  int64_t layers = 0, vocab = 0;
  std::vector<int32_t> tokens;
  std::vector<std::pair<size_t, Logits>> rows;  // position, logits
};

Golden read_golden(const std::string& name) {
  Golden out;
  std::ifstream file(source_tree::path(fmt::format("tests/data/golden_logits/{}.txt", name)));
  std::string line, word;
  std::getline(file, line);
  std::istringstream(line) >> word >> word >> out.layers >> word >> out.vocab;
  std::getline(file, line);
  std::istringstream tokens(line);
  tokens >> word;
  for (int32_t token; tokens >> token;) out.tokens.push_back(token);
  while (std::getline(file, line)) {
    std::istringstream values(line);
    size_t position = 0;
    values >> position;
    Logits logits;
    for (float value; values >> value;) logits.push_back(value);
    out.rows.emplace_back(position, std::move(logits));
  }
  return out;
}

class RandomWeights : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    golden_ = read_golden(GetParam());
    ASSERT_EQ(golden_.tokens.size(), 64U);
    ASSERT_EQ(golden_.rows.size(), 6U);
    RandomModel(random_shape(GetParam()), golden_.layers, golden_.vocab).write(file_.path());
  }

  Golden golden_;
  ScratchFile file_;
};

TEST_P(RandomWeights, GiveTheLogitsOfTransformers) {
  for (const KvType type : {KvType::kF16, KvType::kQ8_0}) {
    if (type == KvType::kQ8_0 && random_shape(GetParam()).head_dim % 32) continue;
    const auto model = load_model(file_.path(), {.kv_type = type});
    ASSERT_TRUE(model);
    TestSequence sequence(golden_.tokens, 200, 4, -7);
    Stepper stepper(*model);
    stepper.add(sequence, 64, 64);
    const auto logits = stepper.run();
    ASSERT_EQ(logits.size(), 64U);
    for (const auto& [position, expected] : golden_.rows) {
      ASSERT_EQ(expected.size(), logits[position].size());
      // Logits reach about 3.5. F16 keys and values differ from F32 ones by 2^-11 of their size, q8_0 by 2^-8.
      EXPECT_LT(worst_difference(logits[position], expected), type == KvType::kF16 ? 0.006F : 0.05F) << position;
    }
  }
}

TEST_P(RandomWeights, GiveTheLogitsOfLlamaCpp) {
  const auto model = load_model(file_.path());
  LlamaRunner llama(file_.path());
  ASSERT_TRUE(model && llama.loaded());
  TestSequence sequence(golden_.tokens, 0, 8);
  Stepper stepper(*model);
  float worst = worst_difference(stepper.run_one(sequence, 64), llama.feed(golden_.tokens));
  for (int i = 0; i < 16; ++i) {
    const int32_t token = (31 * i + 7) % 256;
    sequence.tokens.push_back(token);
    worst = std::max(worst, worst_difference(stepper.run_one(sequence, 1), llama.feed({token})));
  }
  EXPECT_LT(worst, 0.03F);  // llama.cpp rounds queries and sums of values to F16
}

TEST_P(RandomWeights, GatheredAttentionComesCloseWhateverTheBatchIsMadeOf) {
  const auto model = load_model(file_.path(), {.full_blocks = 64, .sliding_blocks = 64, .gathered_attention = true});
  ASSERT_TRUE(model);
  EXPECT_FALSE(model->exact());
  EXPECT_TRUE(model->layout().ends_with("/rows1"));
  Stepper stepper(*model);
  // Three sequences at different places decode beside one that is filled in; then all four decode.
  std::vector<TestSequence> sequences;
  for (int32_t i = 0; i < 4; ++i) sequences.emplace_back(golden_.tokens, 10 * i + 9, 4, -2);
  const int32_t before[] = {15, 16, 40, 0};
  for (size_t i = 0; i < 3; ++i) {
    stepper.add(sequences[i], before[i], 0);
    EXPECT_TRUE(stepper.run().empty());
  }
  for (size_t i = 0; i < 3; ++i) stepper.add(sequences[i], 1);
  stepper.add(sequences[3], 63, 1);
  auto found = stepper.run();
  ASSERT_EQ(found.size(), 4U);
  for (size_t i = 0; i < 3; ++i) {
    const auto& [position, expected] = golden_.rows[i + 2];
    ASSERT_EQ(position, static_cast<size_t>(before[i]));
    EXPECT_LT(worst_difference(found[i], expected), 0.03F) << position;
  }
  for (TestSequence& each : sequences) {
    if (each.computed < 63) {
      stepper.add(each, 63 - each.computed, 0);
      stepper.run();
    }
    if (model->info().window) each.sliding[0] = kNoBlock;  // behind the window of 24
    stepper.add(each, 1);
    found = stepper.run();
    EXPECT_LT(worst_difference(found[0], golden_.rows[5].second), 0.03F);
  }
  // A block moves to another place as bytes.
  for (const Pool pool : {Pool::kFull, Pool::kSliding}) {
    if (!model->block_bytes(pool)) continue;
    std::vector<std::byte> bytes(model->block_bytes(pool));
    for (size_t i = 1; i < 4; ++i) {
      const auto& table = pool == Pool::kFull ? sequences[0].full : sequences[0].sliding;
      model->export_block(pool, table[i], bytes);
      model->import_block(pool, 50 + static_cast<int32_t>(i), bytes);
    }
    model->copy_block(pool, sequences[0].full[0], 50);
  }
  TestSequence moved(golden_.tokens, 50, 4);
  moved.computed = 63;
  EXPECT_EQ(stepper.run_one(moved, 1), found[0]);
}

INSTANTIATE_TEST_SUITE_P(Shapes, RandomWeights,
                         testing::Values("llama-tiny", "qwen2-yarn-tiny", "gemma3-tiny", "qwen2.5-0.5b",
                                         "qwen3-0.6b"),
                         [](const auto& each) {
                           std::string name = each.param;
                           for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           return name;
                         });

// The bytes that tools/make_random_model.py writes; tools/make_random_model_test.py has the same sum.
TEST(RandomModel, IsTheFileThatTheToolWrites) {
  ScratchFile file;
  RandomModel(random_shape("gemma3-tiny"), 2, 64).write(file.path());
  std::ifstream stream(file.path(), std::ios::binary);
  std::ostringstream bytes;
  bytes << stream.rdbuf();
  EXPECT_EQ(base::hex(base::sha256(bytes.str())), "d48e1d15d7d5ca1403ace462f7184d7069cc128e5ae3fef144c78436e03af533");
}

// Beyond the window of 24 tokens, the blocks of the sliding layers are gone, and nothing changes.
TEST(SlidingWindow, BlocksBehindTheWindowAreNotRead) {
  const Golden golden = read_golden("gemma3-tiny");
  ScratchFile file;
  RandomModel(random_shape("gemma3-tiny"), golden.layers, golden.vocab).write(file.path());
  const auto model = load_model(file.path(), {.exactness = Exactness::kAlways});
  ASSERT_TRUE(model);
  EXPECT_EQ(model->info().window, 24);
  EXPECT_EQ(model->info().sliding_layers, 6);
  Stepper stepper(*model);
  TestSequence whole(golden.tokens, 0, 4), dropping(golden.tokens, 100, 4);
  const Logits expected = stepper.run_one(whole, 64);
  Logits found;
  for (int32_t i = 0; i < 64; ++i) {
    const int32_t first_needed = i - 24 + 1;
    for (int32_t block = 0; block * 16 + 15 < first_needed; ++block) {
      dropping.sliding[static_cast<size_t>(block)] = kNoBlock;
    }
    found = stepper.run_one(dropping, 1);
  }
  EXPECT_EQ(found, expected);
}

}  // namespace
}  // namespace payonce::engine
