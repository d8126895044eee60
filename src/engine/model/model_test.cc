// The real models beside llama.cpp on the same files, and what must not change a bit: chunks, company, reuse, copies.
#include <fmt/format.h>

#include "engine/model/model_fixture.h"
#include "engine/model/vocab.h"

namespace payonce::engine {
namespace {

constexpr const char* kFetchSmol = "tools/fetch_model.py";
constexpr const char* kFetchGemma = "tools/fetch_model.py --model gemma3-270m";

std::vector<int32_t> tokens_of(const std::string& file, const std::string& text) {
  const auto vocab = Vocab::load(file);
  EXPECT_TRUE(vocab.has_value()) << vocab.error().message;
  return *(*vocab)->tokenize(text, true, true);
}

std::string long_text(int sentences) {
  std::string out;
  for (int i = 0; i < sentences; ++i)
    out += fmt::format("Item {} costs {} euros and weighs {} grams. ", i, i * 7, i * i);
  return out;
}

// Both engines get the same text, chosen by llama.cpp. Activations are rounded to 8 bits before each product, which
// turns the last bits of attention into differences of tenths in a logit: llama.cpp differs so from itself, with and
// without its flash attention (which sums in F16). That is the measure here: we may be as far from it as it is from
// itself, and where we would go on differently, its own choice must have been as close as that.
void expect_greedy_equal(const std::string& file, const std::string& prompt) {
  const auto model = load_model(file);
  LlamaRunner llama(file), without_flash(file, 1, LLAMA_FLASH_ATTN_TYPE_DISABLED);
  ASSERT_TRUE(model && llama.loaded() && without_flash.loaded());
  constexpr int kSteps = 64;
  TestSequence sequence(tokens_of(file, prompt), 255, 100, -1);
  Stepper stepper(*model);
  const auto prompt_tokens = static_cast<int32_t>(sequence.tokens.size());
  Logits ours = stepper.run_one(sequence, prompt_tokens);
  Logits theirs = llama.feed(sequence.tokens), again = without_flash.feed(sequence.tokens);
  double distance = 0, own_distance = 0;
  float own_worst = 0, gap = 0;
  int equal = 0;
  for (int i = 0; i < kSteps; ++i) {
    distance += mean_square_difference(theirs, ours);
    own_distance += mean_square_difference(theirs, again);
    own_worst = std::max(own_worst, worst_difference(theirs, again));
    gap = std::max(gap, theirs[best(theirs)] - theirs[best(ours)]);
    equal += best(ours) == best(theirs);
    const auto next = static_cast<int32_t>(best(theirs));
    sequence.tokens.push_back(next);
    ours = stepper.run_one(sequence, 1);
    theirs = llama.feed({next});
    again = without_flash.feed({next});
  }
  fmt::print("{} of {} tokens equal, ties within {:.2f}; rms {:.3f}, llama.cpp to itself {:.3f}\n", equal, kSteps,
             gap, std::sqrt(distance / kSteps), std::sqrt(own_distance / kSteps));
  EXPECT_LE(gap, own_worst) << prompt;
  EXPECT_LE(std::sqrt(distance), 1.5 * std::sqrt(own_distance)) << prompt;
  EXPECT_GE(equal, kSteps * 9 / 10) << prompt;
}

TEST(SmolModel, GreedyTextEqualsLlamaCppButForTies) {
  PAYONCE_NEEDS_MODEL(smol_model(), kFetchSmol);
  expect_greedy_equal(smol_model(), "The capital of France is");
  expect_greedy_equal(smol_model(), "<|im_start|>user\nWrite a haiku about rain.<|im_end|>\n<|im_start|>assistant\n");
  expect_greedy_equal(smol_model(), long_text(20));
}

TEST(GemmaModel, GreedyTextEqualsLlamaCppButForTies) {
  PAYONCE_NEEDS_MODEL(gemma_model(), kFetchGemma);
  expect_greedy_equal(gemma_model(), "The capital of France is");
  expect_greedy_equal(gemma_model(), long_text(40));  // beyond the window of 512
}

TEST(SmolModel, IsDescribedByItsFile) {
  PAYONCE_NEEDS_MODEL(smol_model(), kFetchSmol);
  const auto probe = Model::probe(smol_model(), KvType::kF16);
  ASSERT_TRUE(probe.has_value()) << probe.error().message;
  const ModelInfo& info = probe->info;
  EXPECT_EQ(info.architecture, "llama");
  EXPECT_EQ(info.layers, 30);
  EXPECT_EQ(info.width, 576);
  EXPECT_EQ(info.q_heads, 9);
  EXPECT_EQ(info.kv_heads, 3);
  EXPECT_EQ(info.head_dim, 64);
  EXPECT_EQ(info.vocab_size, 49152);
  EXPECT_EQ(info.context_tokens, 8192);
  EXPECT_EQ(info.parameters, 134'515'008U);
  EXPECT_EQ(info.digest.size(), 64U);
  EXPECT_EQ(probe->full_block_bytes, 30U * 3 * 2 * 64 * 16 * 2);
  EXPECT_EQ(probe->sliding_block_bytes, 0U);
  const auto model = load_model(smol_model(), {.full_blocks = 4});
  ASSERT_TRUE(model);
  EXPECT_EQ(model->info().digest, info.digest);
  EXPECT_EQ(model->block_bytes(Pool::kFull), probe->full_block_bytes);
  EXPECT_EQ(model->block_bytes(Pool::kSliding), 0U);
  EXPECT_EQ(model->layout(), "f16/30x3x64/16/pages1");
}

// Bits: whatever way a token's logits are computed. SmolLM2's q4_1 weights give it for free, gemma's K-quants when
// asked.
class Bits : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    const bool gemma = GetParam();
    const std::string file = gemma ? gemma_model() : smol_model();
    PAYONCE_NEEDS_MODEL(file, gemma ? kFetchGemma : kFetchSmol);
    model_ = load_model(file, {.exactness = gemma ? Exactness::kAlways : Exactness::kWhereFree});
    ASSERT_TRUE(model_);
    ASSERT_TRUE(model_->exact());
    prompt_ = tokens_of(file, long_text(6));
    prompt_.resize(85);
  }

  int32_t length() const { return static_cast<int32_t>(prompt_.size()); }

  std::unique_ptr<Model> model_;
  std::vector<int32_t> prompt_;
};

TEST_P(Bits, ChunksDoNotChangeThem) {
  Stepper stepper(*model_);
  TestSequence whole(prompt_, 0, 6);
  const Logits expected = stepper.run_one(whole, length());
  for (const int32_t chunk : {1, 7, 16, 40}) {
    TestSequence cut(prompt_, 100, 6, 3);
    Logits found;
    while (cut.computed < length()) found = stepper.run_one(cut, std::min(chunk, length() - cut.computed));
    EXPECT_EQ(found, expected) << chunk;
  }
}

TEST_P(Bits, RecomputingTheLastTokenOfAWarmPromptDoesNotChangeThem) {
  Stepper stepper(*model_);
  TestSequence sequence(prompt_, 10, 6);
  const Logits cold = stepper.run_one(sequence, length());
  sequence.computed = length() - 1;
  EXPECT_EQ(stepper.run_one(sequence, 1), cold);
}

TEST_P(Bits, CompanyDoesNotChangeThem) {
  Stepper stepper(*model_);
  std::vector<TestSequence> sequences;
  std::vector<Logits> alone;
  for (int32_t i = 0; i < 16; ++i) {
    std::vector<int32_t> tokens(prompt_.begin(), prompt_.begin() + 20 + 4 * i);
    sequences.emplace_back(tokens, i * 8, 8);
    stepper.run_one(sequences.back(), static_cast<int32_t>(tokens.size()) - 1);
    alone.push_back(stepper.run_one(sequences.back(), 1));
    sequences.back().computed--;
  }
  for (TestSequence& each : sequences) stepper.add(each, 1);
  EXPECT_EQ(stepper.run(), alone);

  // Three of them decode while another prompt is filled in.
  TestSequence other(prompt_, 200, 6);
  for (size_t i = 0; i < 3; ++i) {
    sequences[i].computed--;
    stepper.add(sequences[i], 1);
  }
  stepper.add(other, length());
  const auto mixed = stepper.run();
  ASSERT_EQ(mixed.size(), 4U);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(mixed[i], alone[i]);
  TestSequence again(prompt_, 220, 6);
  EXPECT_EQ(stepper.run_one(again, length()), mixed[3]);
}

TEST_P(Bits, AskingForMoreOutputRowsDoesNotChangeThem) {
  Stepper stepper(*model_);
  TestSequence all(prompt_, 0, 6), last(prompt_, 20, 6), none(prompt_, 40, 6);
  stepper.add(all, length(), length());
  const auto every = stepper.run();
  ASSERT_EQ(every.size(), prompt_.size());
  EXPECT_EQ(stepper.run_one(last, length()), every.back());
  stepper.add(none, length() - 1, 0);
  EXPECT_TRUE(stepper.run().empty());
  EXPECT_EQ(stepper.run_one(none, 1), every.back());
}

INSTANTIATE_TEST_SUITE_P(Models, Bits, testing::Bool(),
                         [](const auto& each) { return each.param ? "Gemma" : "Smol"; });

TEST(SmolModel, ThreadsDoNotChangeBits) {
  PAYONCE_NEEDS_MODEL(smol_model(), kFetchSmol);
  std::vector<int32_t> prompt = tokens_of(smol_model(), long_text(3));
  prompt.resize(45);  // ThreadSanitizer takes its time for each
  std::vector<Logits> found;
  for (const int threads : {1, 2}) {
    const auto model = load_model(smol_model(), {.threads = threads, .full_blocks = 16});
    ASSERT_TRUE(model);
    TestSequence sequence(prompt, 0, 4);
    Stepper stepper(*model);
    found.push_back(stepper.run_one(sequence, static_cast<int32_t>(prompt.size()) - 1));
    found.push_back(stepper.run_one(sequence, 1));
  }
  EXPECT_EQ(found[0], found[2]);
  EXPECT_EQ(found[1], found[3]);
}

TEST(SmolModel, BlocksAreCopiedAndMovedToAnotherEngineWhole) {
  PAYONCE_NEEDS_MODEL(smol_model(), kFetchSmol);
  const auto here = load_model(smol_model(), {.full_blocks = 16});
  const auto there = load_model(smol_model(), {.full_blocks = 32});
  ASSERT_TRUE(here && there);
  ASSERT_EQ(here->layout(), there->layout());
  std::vector<int32_t> prompt = tokens_of(smol_model(), long_text(3));
  prompt.resize(45);
  Stepper stepper(*here), stepper_there(*there);
  TestSequence original(prompt, 0, 3);
  stepper.run_one(original, 44);
  TestSequence copied(prompt, 8, 3), moved(prompt, 20, 3, 2);
  std::vector<std::byte> bytes(here->block_bytes(Pool::kFull));
  for (size_t i = 0; i < 3; ++i) {
    here->copy_block(Pool::kFull, original.full[i], copied.full[i]);
    here->export_block(Pool::kFull, original.full[i], bytes);
    there->import_block(Pool::kFull, moved.full[i], bytes);
  }
  copied.computed = moved.computed = 44;
  const Logits expected = stepper.run_one(original, 1);
  EXPECT_EQ(stepper.run_one(copied, 1), expected);
  EXPECT_EQ(stepper_there.run_one(moved, 1), expected);
}

TEST(SmolModel, WhatCannotBeComputedIsAnError) {
  PAYONCE_NEEDS_MODEL(smol_model(), kFetchSmol);
  const auto model = load_model(smol_model(), {.full_blocks = 4});
  ASSERT_TRUE(model);
  const std::vector<int32_t> table = {0};
  for (const int32_t token : {-1, 49152}) {
    Batch batch{.tokens = {token}, .full = {{0, 1, 0, table}}, .output_rows = {0}};
    const auto result = model->compute(batch);
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, base::Code::kInvalid);
  }
  const auto nowhere = Model::load(smol_model(), {.full_blocks = 4, .device = "CUDA7"});
  ASSERT_FALSE(nowhere.has_value());
  EXPECT_NE(nowhere.error().message.find("CUDA7"), std::string::npos);
  EXPECT_FALSE(Model::load(smol_model(), {.full_blocks = 0}).has_value());
}

}  // namespace
}  // namespace payonce::engine
