#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace payonce::engine {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
constexpr size_t kFirstCandidates = 256;

// Ties go to the lower id, so that every run chooses alike.
bool likelier(const TokenLogprob& a, const TokenLogprob& b) {
  return a.logprob != b.logprob ? a.logprob > b.logprob : a.token < b.token;
}

int32_t argmax(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

double log_sum_exp(std::span<const float> logits) {
  const double max = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - max);
  return max + std::log(sum);
}

// SplitMix64 (Steele, Lea, Flood 2014): mixes well enough that neighbouring positions are independent.
uint64_t mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

// In [0, 1), with 53 bits.
double uniform(uint64_t seed, int32_t choice, int32_t position) {
  const uint64_t place =
      (static_cast<uint64_t>(static_cast<uint32_t>(choice)) << 32) | static_cast<uint32_t>(position);
  return static_cast<double>(mix(mix(seed) ^ place) >> 11) * 0x1p-53;
}

// The `count` likeliest of `from`, sorted.
void keep_likeliest(std::vector<TokenLogprob>& from, size_t count) {
  count = std::min(count, from.size());
  std::partial_sort(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(count), from.end(), likelier);
  from.resize(count);
}

// Of weights, which stand where logprobs would.
double sum_of(const std::vector<TokenLogprob>& weights) {
  double out = 0;
  for (const TokenLogprob& each : weights) out += each.logprob;
  return out;
}

}  // namespace

std::vector<TokenLogprob> top_logprobs(std::span<const float> logits, int32_t count) {
  const auto total = static_cast<float>(log_sum_exp(logits));
  std::vector<TokenLogprob> out;
  out.reserve(static_cast<size_t>(count) + 1);
  for (size_t i = 0; i < logits.size(); ++i) {
    const TokenLogprob next{static_cast<int32_t>(i), logits[i] - total};
    if (out.size() == static_cast<size_t>(count) && (out.empty() || !likelier(next, out.back()))) continue;
    out.insert(std::upper_bound(out.begin(), out.end(), next, likelier), next);
    if (out.size() > static_cast<size_t>(count)) out.pop_back();
  }
  return out;
}

Likeliest likeliest_of(std::span<const float> logits, int32_t token, int32_t count) {
  Likeliest out;
  const auto total = static_cast<float>(log_sum_exp(logits));
  out.chosen = {token, logits[static_cast<size_t>(token)] - total};
  if (count > 0) out.top = top_logprobs(logits, count);
  return out;
}

Sampler::Sampler(const Sampling& sampling, uint64_t seed, int32_t choice, std::span<const int32_t> prompt,
                 std::unique_ptr<Grammar> grammar)
    : sampling_(sampling), seed_(seed), choice_(choice), grammar_(std::move(grammar)) {
  if (sampling_.repetition_penalty == 1) return;
  for (const int32_t token : prompt) ++prompt_[token];
}

Sampler Sampler::fork(int32_t choice) const {
  Sampler out(sampling_, seed_, choice, {}, grammar_ ? grammar_->clone() : nullptr);
  out.generated_ = generated_;
  out.prompt_ = prompt_;
  return out;
}

bool Sampler::is_plain() const {
  return sampling_.presence_penalty == 0 && sampling_.frequency_penalty == 0 && sampling_.repetition_penalty == 1 &&
         sampling_.logit_bias.empty();
}

void Sampler::adjust(std::span<float> logits, std::span<const int32_t> banned) {
  const auto repetition = static_cast<float>(sampling_.repetition_penalty);
  const auto discourage = [&](int32_t token) {
    float& logit = logits[static_cast<size_t>(token)];
    logit = logit > 0 ? logit / repetition : logit * repetition;
  };
  if (repetition != 1) {
    for (const auto& [token, times] : prompt_) discourage(token);
    for (const auto& [token, times] : generated_)
      if (!prompt_.contains(token)) discourage(token);
  }
  for (const auto& [token, times] : generated_)
    logits[static_cast<size_t>(token)] -=
        static_cast<float>(sampling_.presence_penalty + sampling_.frequency_penalty * times);
  for (const auto& [token, bias] : sampling_.logit_bias)
    logits[static_cast<size_t>(token)] += static_cast<float>(bias);
  for (const int32_t token : banned) logits[static_cast<size_t>(token)] = kNever;
}

int32_t Sampler::sample(std::span<const float> logits, int32_t position, std::span<const int32_t> banned) {
  if (is_plain() && banned.empty() && !grammar_) return choose(logits, position);
  scratch_.assign(logits.begin(), logits.end());
  adjust(scratch_, banned);
  const int32_t token = choose(scratch_, position);
  if (!grammar_ || grammar_->allows(token)) return token;
  // To ask about one token is quick, to mask a whole vocabulary is not; most choices need no mask.
  grammar_->mask(scratch_);
  return choose(scratch_, position);
}

int32_t Sampler::choose(std::span<const float> logits, int32_t position) {
  const int32_t best = argmax(logits);
  if (sampling_.temperature == 0 || logits[static_cast<size_t>(best)] == kNever) return best;
  return draw(logits, position);
}

// top-k, then min-p, then top-p, each of what the one before left, as vLLM does; the likeliest always stays.
int32_t Sampler::draw(std::span<const float> logits, int32_t position) {
  const auto inverse = static_cast<float>(1 / sampling_.temperature);
  const float max = *std::max_element(logits.begin(), logits.end());
  candidates_.clear();
  // Probabilities relative to the likeliest. What is 1e-12 of it or less never decides, but would cost the sort.
  constexpr float kNegligible = -27.6F;
  double total = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const float scaled = (logits[i] - max) * inverse;
    if (!(scaled > kNegligible)) continue;
    const float weight = std::exp(scaled);
    total += weight;
    candidates_.push_back({static_cast<int32_t>(i), weight});
  }
  const bool cut_k = sampling_.top_k > 0 && static_cast<size_t>(sampling_.top_k) < candidates_.size();
  if (cut_k) {
    keep_likeliest(candidates_, static_cast<size_t>(sampling_.top_k));
    total = sum_of(candidates_);
  }
  if (sampling_.min_p > 0) {
    std::erase_if(candidates_, [&](const TokenLogprob& each) { return each.logprob < sampling_.min_p; });
    total = sum_of(candidates_);
  }
  if (sampling_.top_p < 1) {
    const double wanted = sampling_.top_p * total;
    double sum = 0;
    size_t sorted = 0, count = 0;
    while (count < candidates_.size() && sum < wanted) {
      if (count == sorted) {  // sorts as much as is needed, doubling
        sorted = std::min(candidates_.size(), std::max(kFirstCandidates, 2 * sorted));
        std::partial_sort(candidates_.begin() + static_cast<std::ptrdiff_t>(count),
                          candidates_.begin() + static_cast<std::ptrdiff_t>(sorted), candidates_.end(), likelier);
      }
      sum += candidates_[count++].logprob;
    }
    candidates_.resize(std::max<size_t>(count, 1));
    total = sum;
  }
  double left = uniform(seed_, choice_, position) * total;
  for (const TokenLogprob& each : candidates_) {
    left -= each.logprob;
    if (left < 0) return each.token;
  }
  return candidates_.back().token;
}

void Sampler::accept(int32_t token) {
  ++generated_[token];
  if (grammar_) grammar_->accept(token);
}

}  // namespace payonce::engine
