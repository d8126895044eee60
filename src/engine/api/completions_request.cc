// POST /v1/completions (platform.openai.com, API reference, legacy completions, 2026-11). Prompts are raw text:
// special tokens spelled in them are tokens, and BOS is added where the model asks for it, as vLLM and llama-server
// do.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <utility>

#include "base/hash.h"
#include "engine/api/completions_answer.h"
#include "engine/api/requests.h"
#include "engine/api/sampling_fields.h"
#include "engine/model/chat_template.h"

namespace payonce::engine {
namespace {
namespace json = boost::json;

constexpr int64_t kDefaultMaxTokens = 16;  // as OpenAI
constexpr std::string_view kForms =
    "must be a string, a list of strings, a list of tokens, or a list of lists of tokens";

using Prompts = std::vector<CompletionsAnswerOptions::Prompt>;

void add_text(Fields& fields, const RequestContext& context, std::string_view text, Prompts& out) {
  auto tokens = context.vocab.tokenize(text);
  if (!tokens) return fields.refuse("prompt", "cannot be read: " + tokens.error().message);
  if (tokens->empty())
    return fields.refuse("prompt", "is empty, and this model has no token to begin a text with: give some text");
  out.push_back({.text = std::string(text), .tokens = *std::move(tokens)});
}

void add_tokens(Fields& fields, const RequestContext& context, const json::array& list, Prompts& out) {
  CompletionsAnswerOptions::Prompt prompt;
  for (const json::value& value : list) {
    const auto token = whole_number(value);
    if (!token || *token < 0 || *token >= context.vocab.size)
      return fields.refuse("prompt", fmt::format("must hold tokens from 0 to {}, but holds {}",
                                                 context.vocab.size - 1, describe(value)));
    prompt.tokens.push_back(static_cast<int32_t>(*token));
    prompt.text += context.vocab.piece(prompt.tokens.back(), false);
  }
  if (prompt.tokens.empty()) return fields.refuse("prompt", "is an empty list of tokens: give at least one");
  out.push_back(std::move(prompt));
}

void add_prompt(Fields& fields, const RequestContext& context, const json::value& value, Prompts& out) {
  if (value.is_string())
    add_text(fields, context, value.get_string(), out);
  else if (value.is_array())
    add_tokens(fields, context, value.get_array(), out);
  else
    fields.refuse("prompt", fmt::format("{}, but holds {}", kForms, describe(value)));
}

Prompts read_prompts(Fields& fields, const RequestContext& context) {
  Prompts out;
  const json::value* prompt = fields.any("prompt");
  if (prompt == nullptr) {
    fields.refuse("prompt", "is missing: it " + std::string(kForms));
    return out;
  }
  const json::array* list = prompt->if_array();
  const bool many = list != nullptr && !list->empty() && !list->front().is_number();
  if (!many) {
    add_prompt(fields, context, *prompt, out);
    return out;
  }
  if (list->size() > static_cast<size_t>(context.limits.max_prompts)) {
    fields.refuse("prompt", fmt::format("has {} prompts, more than {}", list->size(), context.limits.max_prompts));
    return out;
  }
  for (const json::value& one : *list)
    if (fields.ok()) add_prompt(fields, context, one, out);
  return out;
}

// guided_json or a grammar, as for chats.
base::Result<std::string> read_grammar(Fields& fields) {
  Guide guide = read_guide(fields);
  PAYONCE_CHECK_OK(fields.status());
  if (guide.json_schema.empty()) return std::move(guide.gbnf);
  return json_schema_to_gbnf(guide.json_schema);
}

// logprobs and echo together ask for those of the prompt as well.
void read_completion_logprobs(Fields& fields, const RequestContext& context, bool echo, Generate& out) {
  const json::value* given = fields.any("logprobs");
  if (given == nullptr || (given->is_bool() && !given->get_bool())) return;
  const auto logprobs = fields.integer("logprobs", 0, context.limits.max_logprobs);
  if (!logprobs) return;
  out.logprobs = static_cast<int32_t>(*logprobs);
  if (echo) out.prompt_logprobs = out.logprobs;
}

}  // namespace

base::Result<Prepared> read_completions(const RequestContext& context, const json::object& body) {
  Fields fields(body);
  Generate request;
  const auto suffix = fields.text("suffix");
  if (suffix && !suffix->empty()) fields.refuse("suffix", "is not served here: this model only continues text");
  const bool echo = fields.boolean("echo").value_or(false);
  read_sampling(fields, context, request);
  read_stops(fields, "stop", context, request.stopping);
  read_completion_logprobs(fields, context, echo, request);
  const Framing framing = read_framing(fields);
  read_choices(fields, context, framing.stream, request);
  const auto limit = fields.integer("max_tokens", 0, INT32_MAX);
  const int64_t max_tokens = limit.value_or(kDefaultMaxTokens);
  // 0 asks what is known of the prompt alone; the engine's 0 means without a limit.
  request.stopping.max_tokens = static_cast<int32_t>(max_tokens == 0 ? 1 : max_tokens);
  if (max_tokens == 0 && !echo) fields.refuse("max_tokens", "may be 0 with echo only");
  Prompts prompts = read_prompts(fields, context);
  if (fields.ok() &&
      prompts.size() * static_cast<size_t>(request.n) > static_cast<size_t>(context.limits.max_sequences))
    fields.refuse("n", fmt::format("times the number of prompts must be at most {}", context.limits.max_sequences));
  PAYONCE_CHECK_OK(fields.status());
  PAYONCE_TRY(request.grammar.gbnf, read_grammar(fields));

  Prepared out;
  for (CompletionsAnswerOptions::Prompt& prompt : prompts) {
    request.prompt = prompt.tokens;
    const int64_t left = context.context_tokens - static_cast<int64_t>(prompt.tokens.size());
    if (!limit && left > 0) request.stopping.max_tokens = static_cast<int32_t>(std::min(kDefaultMaxTokens, left));
    PAYONCE_CHECK_OK(check_context(context, llm::Dialect::kOpenAiCompletions, request));
    out.generates.push_back(request);
    if (!echo) prompt = {};
  }
  AnswerIdentity identity = context.identity;
  identity.id = "cmpl-" + base::random_hex(12);
  out.writer = make_completions_answer(std::move(identity), {.vocab = context.vocab,
                                                             .prompts = std::move(prompts),
                                                             .n = request.n,
                                                             .echo = echo,
                                                             .logprobs = request.logprobs >= 0,
                                                             .prompt_only = max_tokens == 0,
                                                             .stream = framing.stream,
                                                             .include_usage = framing.include_usage});
  return out;
}

}  // namespace payonce::engine
