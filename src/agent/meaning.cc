#include "agent/meaning.h"

#include <optional>
#include <utility>

#include "agent/entry.h"

namespace payonce::agent {

void Meaning::look_up(const Question& question, const Caller& caller,
                      std::function<void(pipeline::AskedQuestionPtr)> done) {
  auto asked = std::make_shared<pipeline::AskedQuestion>();
  asked->group = context_of(question, caller.scope_id);
  asked->scope = caller.scope_id;
  asked->question = question.text;
  stage_.look_up(asked, [asked, done = std::move(done)](std::string_view) { done(asked); });
}

void Meaning::learn(const pipeline::AskedQuestionPtr& asked, const std::string& key, std::string_view value,
                    int64_t expires_ms) {
  pipeline::SemanticStage::Answered answered{
      .lookup = asked, .text = std::string(value), .key = key, .expires_ms = expires_ms};
  // Two reports may say the same in other words; two structures with other values never do.
  const bool prose = value.starts_with('"');
  answered.text_of = [prose](const cache::Entry& entry) -> std::optional<std::string> {
    const base::Bytes other = value_of(entry);
    if (!prose || !other.view().starts_with('"')) return std::nullopt;
    return std::string(other.view());
  };
  stage_.learn(std::move(answered));
}

}  // namespace payonce::agent
