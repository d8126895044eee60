#include "engine/api/completions_answer.h"

#include <boost/json.hpp>
#include <utility>

#include "base/utf8.h"
#include "engine/api/chat_answer.h"
#include "engine/api/errors.h"
#include "engine/api/token_text.h"
#include "llm/sse.h"

namespace payonce::engine {
namespace {
namespace json = boost::json;

// {tokens, token_logprobs, top_logprobs, text_offset}; offsets count characters of the choice's text.
struct Logprobs {
  json::array tokens, values, top, offsets;
  size_t offset = 0;

  // `of`: null for the first token of a prompt, which nothing precedes.
  void add(const VocabPort& vocab, int32_t token, const TokenLogprob* of, const std::vector<TokenLogprob>& likeliest);
  json::object take();
};

void Logprobs::add(const VocabPort& vocab, int32_t token, const TokenLogprob* of,
                   const std::vector<TokenLogprob>& likeliest) {
  const std::string text = base::with_replacements(vocab.piece(token, true));
  tokens.emplace_back(text);
  offsets.emplace_back(offset);
  offset += base::count_characters(vocab.piece(token, false));
  if (of == nullptr) {
    values.emplace_back(nullptr);
    top.emplace_back(nullptr);
    return;
  }
  values.emplace_back(finite(of->logprob));
  json::object others;
  for (const TokenLogprob& other : likeliest)
    others.emplace(base::with_replacements(vocab.piece(other.token, true)), finite(other.logprob));
  others.emplace(text, finite(of->logprob));  // the chosen one is among them, likely or not
  top.emplace_back(std::move(others));
}

json::object Logprobs::take() {
  return {{"tokens", std::exchange(tokens, {})},
          {"token_logprobs", std::exchange(values, {})},
          {"top_logprobs", std::exchange(top, {})},
          {"text_offset", std::exchange(offsets, {})}};
}

struct CompletionChoice {
  std::string text;  // streams: not sent yet
  Logprobs logprobs;
  bool changed = false;
  std::string finish_reason;
};

class CompletionsAnswer final : public AnswerWriter {
 public:
  CompletionsAnswer(AnswerIdentity identity, CompletionsAnswerOptions options)
      : identity_(std::move(identity)), options_(std::move(options)) {
    choices_.resize(options_.prompts.size() * static_cast<size_t>(options_.n));
    // A stream sends the prompt with the first piece, when its logprobs are known.
    for (size_t i = 0; options_.echo && i < choices_.size(); ++i) choices_[i].text = prompt_of(i).text;
  }
  llm::Dialect dialect() const override { return llm::Dialect::kOpenAiCompletions; }
  bool streams() const override { return options_.stream; }
  void prompt_logprobs(size_t prompt, std::vector<TokenLogprob> of_tokens,
                       std::vector<std::vector<TokenLogprob>> likeliest) override;
  void piece(Piece piece, std::string& out) override;
  void flush(std::string& out) override;
  void finished(const Finished& finished, std::string& out) override;
  void done(const EngineUsage& usage, std::string& out) override;

 private:
  const CompletionsAnswerOptions::Prompt& prompt_of(size_t choice) const {
    return options_.prompts[choice / static_cast<size_t>(options_.n)];
  }
  json::object top() const;
  json::object choice_object(size_t index, json::value finish_reason);
  void send(size_t index, json::value finish_reason, std::string& out);

  const AnswerIdentity identity_;
  const CompletionsAnswerOptions options_;
  std::vector<CompletionChoice> choices_;
};

json::object CompletionsAnswer::top() const {
  return {{"id", identity_.id},
          {"object", "text_completion"},
          {"created", identity_.created_s},
          {"model", identity_.model},
          {"system_fingerprint", identity_.fingerprint}};
}

json::object CompletionsAnswer::choice_object(size_t index, json::value finish_reason) {
  CompletionChoice& choice = choices_[index];
  return {{"index", index},
          {"text", std::exchange(choice.text, {})},
          {"logprobs", options_.logprobs ? json::value(choice.logprobs.take()) : json::value(nullptr)},
          {"finish_reason", std::move(finish_reason)}};
}

void CompletionsAnswer::send(size_t index, json::value finish_reason, std::string& out) {
  choices_[index].changed = false;
  json::object chunk = top();
  chunk["choices"] = json::array{choice_object(index, std::move(finish_reason))};
  if (options_.include_usage) chunk["usage"] = nullptr;
  llm::append_event(out, "", json::serialize(chunk));
}

// The engine tells of every token of the prompt, or of all but the first, which nothing precedes.
void CompletionsAnswer::prompt_logprobs(size_t prompt, std::vector<TokenLogprob> of_tokens,
                                        std::vector<std::vector<TokenLogprob>> likeliest) {
  if (!options_.logprobs || !options_.echo || prompt >= options_.prompts.size()) return;
  const std::vector<int32_t>& tokens = options_.prompts[prompt].tokens;
  const size_t skipped = tokens.size() - std::min(tokens.size(), of_tokens.size());
  static const std::vector<TokenLogprob> kNone;
  for (size_t i = 0; i < static_cast<size_t>(options_.n); ++i) {
    CompletionChoice& choice = choices_[prompt * static_cast<size_t>(options_.n) + i];
    for (size_t at = 0; at < tokens.size(); ++at) {
      const TokenLogprob* of = at == 0 || at < skipped ? nullptr : &of_tokens[at - skipped];
      const bool known = of != nullptr && at - skipped < likeliest.size();
      choice.logprobs.add(options_.vocab, tokens[at], of, known ? likeliest[at - skipped] : kNone);
    }
  }
}

void CompletionsAnswer::piece(Piece piece, std::string& out) {
  (void)out;
  if (options_.prompt_only) return;
  CompletionChoice& choice = choices_[static_cast<size_t>(piece.choice)];
  choice.text += base::with_replacements(piece.text);
  choice.changed = true;
  static const std::vector<TokenLogprob> kNone;
  for (size_t i = 0; options_.logprobs && i < piece.logprobs.size(); ++i)
    choice.logprobs.add(options_.vocab, piece.logprobs[i].token, &piece.logprobs[i],
                        i < piece.likeliest.size() ? piece.likeliest[i] : kNone);
}

void CompletionsAnswer::flush(std::string& out) {
  if (!streams()) return;
  for (size_t i = 0; i < choices_.size(); ++i)
    if (choices_[i].changed && choices_[i].finish_reason.empty()) send(i, nullptr, out);
}

void CompletionsAnswer::finished(const Finished& finished, std::string& out) {
  const auto index = static_cast<size_t>(finished.choice);
  choices_[index].finish_reason = finished.why == Finish::kLength || options_.prompt_only ? "length" : "stop";
  if (streams()) send(index, json::value(choices_[index].finish_reason), out);
}

void CompletionsAnswer::done(const EngineUsage& usage, std::string& out) {
  EngineUsage shown = usage;
  if (options_.prompt_only) shown.completion_tokens = 0;
  if (streams()) {
    if (options_.include_usage) {
      json::object chunk = top();
      chunk["choices"] = json::array();
      chunk["usage"] = openai_usage(shown);
      llm::append_event(out, "", json::serialize(chunk));
    }
    return llm::append_event(out, "", "[DONE]");
  }
  json::object whole = top();
  json::array choices;
  for (size_t i = 0; i < choices_.size(); ++i)
    choices.push_back(choice_object(i, json::value(choices_[i].finish_reason)));
  whole["choices"] = std::move(choices);
  whole["usage"] = openai_usage(shown);
  out += json::serialize(whole);
}

}  // namespace

std::unique_ptr<AnswerWriter> make_completions_answer(AnswerIdentity identity, CompletionsAnswerOptions options) {
  return std::make_unique<CompletionsAnswer>(std::move(identity), std::move(options));
}

}  // namespace payonce::engine
