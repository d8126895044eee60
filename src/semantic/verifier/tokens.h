// A text's token vectors in little space, and how well the tokens of two texts align. The vectors know their context:
// "Paris" as a flight's start is not "Paris" as its end, and a synonym lies closer than another name in its place.
// Threads: any; values.  Shapes: vectors [count, width], row-major.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "embed/embedder.h"

namespace payonce::semantic {

inline constexpr size_t kMaxTokens = 32;  // beginnings alone are aligned; 12 tokens of 384 numbers take 4.6 KiB

struct Tokens {
  int32_t width = 0;
  std::vector<int32_t> ids;
  std::vector<float> scales;    // one a token: the largest number of its vector / 127
  std::vector<int8_t> vectors;  // number / scale, rounded
  size_t count() const { return ids.size(); }
  bool operator==(const Tokens&) const = default;
};

// Empty when the embedding has no token vectors.
Tokens quantise(const embed::Embedding& embedding);

// What one text's tokens find in the other's.
struct Side {
  float mean = 0;           // weighted mean of the best cosine of each token
  float worst = 1;          // the lowest of them among tokens that carry meaning
  float missing = 0;        // sum of weight x (1 - best cosine)
  float unshared = 0;       // share of the weight in tokens that the other text lacks
  float unshared_mass = 0;  // their weight
  float unshared_most = 0;  // the largest weight of one
  float replaced = 1;  // weighted mean of their best cosine to tokens that the first text lacks; 1: none to replace
  float replaced_worst = 1;
  float in_context = 1;  // weighted mean cosine of equal tokens: the same word in the same part
  float in_context_worst = 1;
  float misaligned = 0;  // share of the weight in tokens that align best with another token than their equal
  float inverted = 0;    // share of neighbouring shared tokens that stand in the other order there
};

struct Alignment {
  Side first;
  Side second;
};

// REQUIRES: both have tokens, of one width.
Alignment align(const Tokens& first, const Tokens& second);

// How much of a text's meaning a token carries, 0..1. The ids of BERT's English vocabulary follow frequency from
// 1996 ("the") on (Devlin et al. 2019, the released vocab.txt), so the id itself tells how rare a word is.
float token_weight(int32_t id);

}  // namespace payonce::semantic
