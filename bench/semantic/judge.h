#pragma once
#include "semantic/pair_judge.h"
namespace payonce::bench {
struct CosineJudge final : semantic::PairJudge {
  struct Read final : semantic::ReadQuestion {
    size_t bytes() const override { return 100; }
  };
  semantic::ReadQuestionPtr read(std::string_view, const embed::Embedding&) const override {
    return std::make_shared<Read>();
  }
  semantic::Opinion compare(const semantic::ReadQuestion&, const semantic::ReadQuestion&,
                            const semantic::Nearness& near) const override {
    return {.logit = 22 * (near.cosine - 0.85F), .conflict = {}};
  }
};
inline std::unique_ptr<semantic::PairJudge> make_judge() { return std::make_unique<CosineJudge>(); }
}  // namespace payonce::bench
