// How likely is a cached question's answer right for a new question of the same context? A pair of questions becomes
// numbers (features.h), the numbers a log-odds (trees.h); hard rules (conflict.h) stand beside it.
//
//   const Question asked = make_question(text, embedding);               // once a request
//   for each of the 5 nearest entries:
//     const Judgement j = verifier.judge(entry.question, asked, neighbourhood(cosine, others));
//
// Take neighbourhood() for what the lookup knows: the trees were trained on just its values, all known or none.
//
// Threads: any; a Verifier never changes.  Owner: the semantic layer.  Cost: some 20 us a pair of 12-token questions.
// Errors: loading alone; judging two texts of any bytes gives a finite number.
// What the model was trained on and how good it is: REPORT.md beside this file.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "semantic/verifier/conflict.h"
#include "semantic/verifier/features.h"
#include "semantic/verifier/trees.h"

namespace payonce::semantic {

struct Judgement {
  double logit = 0;  // log-odds of one answer, calibrated on nearest neighbours of a stream; 0: as likely as not
  Conflict conflict = Conflict::kNone;  // not kNone: not to be served without evidence of the entry's own
};

class Verifier {
 public:
  // The model inside the program. An error means a broken build.
  static base::Result<Verifier> built_in();
  // A model file's bytes; kCorrupt or kInvalid when they are no model for this program's features.
  static base::Result<Verifier> parse(std::string_view bytes);
  // kNotFound when the file cannot be read, else as parse().
  static base::Result<Verifier> load(const std::string& path);

  // The two may change places. Tokens of two embedders must not meet: their ids and vectors are not comparable.
  Judgement judge(const Question& cached, const Question& asked, const Neighbourhood& near) const;
  double logit(const Features& features) const { return trees_.logit(features); }

  const std::string& digest() const { return trees_.digest(); }

 private:
  explicit Verifier(Trees trees) : trees_(std::move(trees)) {}
  Trees trees_;
};

}  // namespace payonce::semantic
