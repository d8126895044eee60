// Looking a task up by what it means: the seam to the semantic layer, whose questions, bound and calibration it
// shares. A group is everything but the text, so a task is compared only with tasks of the same kind, scope, versions
// and other parts.  Threads: all any; `done` may come on the embedder's thread.  Owner: the instance.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "agent/question.h"
#include "base/bytes.h"
#include "pipeline/semantic_stage.h"

namespace payonce::agent {

class Meaning {
 public:
  explicit Meaning(pipeline::SemanticStage& stage) : stage_(stage) {}

  // `done` gets the look-up: outcome kServe and a candidate's key, or not.
  void look_up(const Question& question, const Caller& caller, std::function<void(pipeline::AskedQuestionPtr)> done);
  // The id of the hit, if it was served.
  std::string decided(const pipeline::AskedQuestion& asked, bool served) {
    return stage_.cache().decided(asked, served);
  }
  bool was_wrong(const std::string& hit, std::string_view scope) { return stage_.feedback_wrong(hit, scope); }
  // A fresh value for the question was published.
  void learn(const pipeline::AskedQuestionPtr& asked, const std::string& key, std::string_view value,
             int64_t expires_ms);

 private:
  pipeline::SemanticStage& stage_;
};

}  // namespace payonce::agent
