// What judging a pair of questions costs, step by step: analysis once a request, the rest for each candidate.
//
//   verifier_bench [--benchmark_…]
#include <benchmark/benchmark.h>

#include <cmath>
#include <string>

#include "semantic/verifier/verifier.h"

namespace payonce::bench {
namespace {

using namespace payonce::semantic;
using benchmark::State;

constexpr std::string_view kFirst = "How do I reset the password of my mail account on a new phone?";
constexpr std::string_view kSecond = "what is the best way to change my e-mail password on another mobile phone";
constexpr size_t kWidth = 384;

// As the default embedder gives it, with numbers of our own.
embed::Embedding embedding_of(size_t tokens, int32_t first_id) {
  embed::Embedding out;
  for (size_t i = 0; i < tokens; ++i) {
    out.token_ids.push_back(first_id + static_cast<int32_t>(i * 37));
    for (size_t k = 0; k < kWidth; ++k)
      out.token_vectors.push_back(std::sin(static_cast<float>(i * kWidth + k + static_cast<size_t>(first_id))) /
                                  14.0f);
  }
  return out;
}

void analyse_text(State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(analyse(kFirst));
}

// The longest text that is read, of words that no list has.
std::string long_text(int seed) {
  std::string out;
  for (int i = seed; out.size() + 16 < kMaxTextBytes; i += 7) out += "Word" + std::to_string(i) + "ing ";
  return out;
}

void analyse_long_text(State& state) {
  const std::string text = long_text(1);
  for (auto _ : state) benchmark::DoNotOptimize(analyse(text));
}

void judge_long_pair(State& state) {
  const auto verifier = Verifier::built_in();
  if (!verifier) return state.SkipWithError(verifier.error().message.c_str());
  const Question cached = make_question(long_text(1), {});
  const Question asked = make_question(long_text(3), {});
  for (auto _ : state) benchmark::DoNotOptimize(verifier->judge(cached, asked, {.cosine = 0.87f}));
}

void quantise_tokens(State& state) {
  const embed::Embedding embedding = embedding_of(static_cast<size_t>(state.range(0)), 2500);
  for (auto _ : state) benchmark::DoNotOptimize(quantise(embedding));
}

void judge_pair(State& state) {
  const auto verifier = Verifier::built_in();
  if (!verifier) return state.SkipWithError(verifier.error().message.c_str());
  const auto tokens = static_cast<size_t>(state.range(0));
  const Question cached = make_question(kFirst, embedding_of(tokens, 2500));
  const Question asked = make_question(kSecond, embedding_of(tokens, 2611));
  for (auto _ : state) benchmark::DoNotOptimize(verifier->judge(cached, asked, {.cosine = 0.87f}));
}

void trees_alone(State& state) {
  const auto verifier = Verifier::built_in();
  if (!verifier) return state.SkipWithError(verifier.error().message.c_str());
  const Question cached = make_question(kFirst, embedding_of(12, 2500));
  const Question asked = make_question(kSecond, embedding_of(12, 2611));
  const Features row = features(cached, asked, {.cosine = 0.87f}, difference(cached.text, asked.text));
  for (auto _ : state) benchmark::DoNotOptimize(verifier->logit(row));
}

BENCHMARK(analyse_text);
BENCHMARK(analyse_long_text);
BENCHMARK(judge_long_pair);
BENCHMARK(quantise_tokens)->Arg(12)->Arg(32);
BENCHMARK(judge_pair)->Arg(0)->Arg(12)->Arg(32);
BENCHMARK(trees_alone);

}  // namespace
}  // namespace payonce::bench

BENCHMARK_MAIN();
