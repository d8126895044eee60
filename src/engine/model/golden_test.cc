// Our graphs beside transformers (golden values, tests/data/golden_logits) and llama.cpp, on random F32 weights, where
// nothing is quantised but the KV cache's F16.
#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "engine/model/model_fixture.h"

namespace payonce::engine {
namespace {

struct Golden {
  int64_t layers = 0, vocab = 0;
  std::vector<int32_t> tokens;
  std::vector<std::pair<size_t, Logits>> rows;  // position, logits
};

Golden read_golden(const std::string& name) {
  Golden out;
  std::ifstream file(fmt::format("{}/golden_logits/{}.txt", PAYONCE_TEST_DATA, name));
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

INSTANTIATE_TEST_SUITE_P(Shapes, RandomWeights,
                         testing::Values("llama-tiny", "qwen2-yarn-tiny", "gemma3-tiny", "qwen2.5-0.5b", "qwen3-0.6b"),
                         [](const auto& each) {
                           std::string name = each.param;
                           for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           return name;
                         });

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
