#include "semantic/verifier_judge.h"

#include <utility>
#include <vector>

#include "base/assert.h"
#include "semantic/verifier/verifier.h"

namespace payonce::semantic {
namespace {

struct Read final : ReadQuestion {
  explicit Read(Question of) : question(std::move(of)) {}
  size_t bytes() const override {
    return sizeof *this + question.text.words.size() * (sizeof(Word) + 8) + 4 * question.text.trigrams.size() +
           question.tokens.vectors.size() + 8 * question.tokens.ids.size();
  }
  const Question question;
};

class VerifierJudge final : public PairJudge {
 public:
  VerifierJudge(Verifier verifier, bool tokens) : verifier_(std::move(verifier)), tokens_(tokens) {}

  ReadQuestionPtr read(std::string_view text, const embed::Embedding& embedding) const override {
    return std::make_shared<Read>(make_question(text, tokens_ ? embedding : embed::Embedding()));
  }
  Opinion compare(const ReadQuestion& cached, const ReadQuestion& asked, float cosine,
                  std::span<const Beside> beside) const override {
    std::vector<Other> others;
    for (const Beside& each : beside) others.push_back({.cosine = each.cosine, .same_answer = each.same_answer});
    const Judgement judgement =
        verifier_.judge(static_cast<const Read&>(cached).question, static_cast<const Read&>(asked).question,
                        neighbourhood(cosine, others));
    return {
        .logit = static_cast<float>(judgement.logit),
        .conflict = judgement.conflict == Conflict::kNone ? std::string_view() : conflict_name(judgement.conflict)};
  }

 private:
  const Verifier verifier_;
  const bool tokens_;
};

}  // namespace

std::unique_ptr<PairJudge> make_judge(bool tokens) {
  auto verifier = Verifier::built_in();
  PAYONCE_ASSERT(verifier.has_value());  // the build embeds it; a test reads it
  return std::make_unique<VerifierJudge>(*std::move(verifier), tokens);
}

}  // namespace payonce::semantic
