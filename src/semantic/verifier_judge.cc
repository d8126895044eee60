#include "semantic/verifier_judge.h"
namespace payonce::semantic {
namespace {
struct CosineJudge final : PairJudge {
  struct Read final : ReadQuestion {
    size_t bytes() const override { return 100; }
  };
  ReadQuestionPtr read(std::string_view, const embed::Embedding&) const override { return std::make_shared<Read>(); }
  Opinion compare(const ReadQuestion&, const ReadQuestion&, const Nearness& near) const override {
    return {.logit = 22 * (near.cosine - 0.85F), .conflict = {}};
  }
};
}  // namespace
std::unique_ptr<PairJudge> make_judge() { return std::make_unique<CosineJudge>(); }
}  // namespace payonce::semantic
