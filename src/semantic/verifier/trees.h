// Gradient-boosted trees and their file (docs/formats/verifier-model.md).
// Threads: any once made.  Errors: parse() kCorrupt for bytes that are not a model, kInvalid for one of other
// features.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace payonce::semantic {

inline constexpr size_t kMaxModelBytes = 4u << 20;

class Trees {
 public:
  struct Node {
    float threshold = 0;  // a value <= it goes left
    uint16_t feature = 0;
    uint8_t missing_left = 0;  // where NaN goes
    int16_t left = 0;          // >= 0: a node of this tree; < 0: leaf -(left + 1)
    int16_t right = 0;
  };

  // `names`: the features that the caller computes, in order. The model must have been trained on just these.
  static base::Result<Trees> parse(std::string_view bytes, std::span<const std::string_view> names);

  // The sum of the leaves that the values lead to.  REQUIRES: as many values as names.
  double sum(std::span<const float> values) const;

  // Log-odds of one answer: calibration applied to the sum.
  double logit(std::span<const float> values) const { return scale_ * sum(values) + offset_; }

  size_t tree_count() const { return trees_.size(); }
  const std::string& digest() const { return digest_; }  // hex SHA-256 of the file's body: the model's name

 private:
  friend class TreesParser;
  struct Tree {
    uint32_t first_node = 0;
    uint32_t first_leaf = 0;
    bool leaf_only = false;
  };
  std::vector<Node> nodes_;
  std::vector<double> leaves_;
  std::vector<Tree> trees_;
  double scale_ = 1;
  double offset_ = 0;
  std::string digest_;
};

}  // namespace payonce::semantic
