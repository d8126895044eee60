// Bodies for the engine, by a real chat template and libllama's vocabulary and grammars: read or refused, never more.
// A prompt has tokens, all of the vocabulary; a grammar is one or an error.
#include <boost/json.hpp>
#include <string>

#include "base/scratch_file.h"
#include "embed/tiny_bert.h"
#include "engine/api/requests.h"
#include "engine/model/json_depth.h"
#include "fuzz.h"

namespace {

using namespace payonce;

// A vocabulary of letters: small, and there without a model.
const engine::Vocab& letters() {
  static const std::unique_ptr<engine::Vocab> made = [] {
    const base::ScratchFile file;
    embed::TinyBert(embed::TinyShape{}).write(file.path());
    return engine::Vocab::load(file.path()).value();
  }();
  return *made;
}

using Read = base::Result<engine::Prepared> (*)(const engine::RequestContext&, const boost::json::object&);
constexpr Read kReaders[] = {engine::read_chat, engine::read_completions, engine::read_messages,
                             engine::read_responses};

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  static const engine::Vocab& vocab = letters();
  static const auto chat = engine::ChatTemplate::make(vocab, "").value();
  static const engine::VocabPort port{
      .tokenize = [](std::string_view text) { return vocab.tokenize(text, false, true); },
      .piece = [](int32_t token, bool special) { return vocab.piece(token, special); },
      .size = vocab.size()};
  static const engine::ApiLimits limits;
  const engine::RequestContext context{
      .vocab = port, .chat = *chat, .limits = limits, .context_tokens = 512, .identity = {}};
  const std::string_view text = fuzz::text(data + 1, size - 1);
  if (engine::nesting_depth(text) > 30) return 0;  // Api refuses it before
  boost::system::error_code error;
  const boost::json::value body = boost::json::parse(text, error);
  if (error || !body.is_object()) return 0;
  (void)engine::count_tokens(context, body.as_object());
  const auto prepared = kReaders[data[0] % 4](context, body.as_object());
  if (!prepared) return 0;
  for (const engine::Generate& generate : prepared->generates) {
    PAYONCE_FUZZ_CHECK(!generate.prompt.empty());
    for (const int32_t token : generate.prompt) PAYONCE_FUZZ_CHECK(token >= 0 && token < vocab.size());
    if (!generate.grammar.gbnf.empty()) (void)engine::Grammar::make(vocab, generate.grammar);
  }
  return 0;
}
