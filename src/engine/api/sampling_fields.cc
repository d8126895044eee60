#include "engine/api/sampling_fields.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <charconv>
#include <limits>

namespace payonce::engine {
namespace {
namespace json = boost::json;

constexpr double kMaxTemperature = 100;  // OpenAI stops at 2; small models are played with beyond
constexpr int64_t kMaxInt = std::numeric_limits<int32_t>::max();

void read_logit_bias(Fields& fields, const RequestContext& context, Sampling& out) {
  const json::object* biases = fields.object("logit_bias");
  if (biases == nullptr) return;
  for (const auto& [key, value] : *biases) {
    int32_t token = -1;
    const std::string_view name = key;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), token);
    if (parsed.ec != std::errc() || parsed.ptr != name.data() + name.size() || token < 0 ||
        token >= context.vocab.size)
      return fields.refuse("logit_bias", fmt::format("must have tokens from 0 to {} as its keys, but has '{}'",
                                                     context.vocab.size - 1, name));
    if (!value.is_number() || value.to_number<double>() < -100 || value.to_number<double>() > 100)
      return fields.refuse(
          "logit_bias", fmt::format("must have numbers from -100 to 100 as its values, but has {}", describe(value)));
    out.logit_bias[token] = value.to_number<double>();
  }
}

void read_stop_tokens(Fields& fields, const RequestContext& context, Stopping& out) {
  const json::array* tokens = fields.array("stop_token_ids");
  if (tokens == nullptr) return;
  if (tokens->size() > context.limits.max_stops)
    return fields.refuse("stop_token_ids", fmt::format("must have at most {} tokens", context.limits.max_stops));
  for (const json::value& value : *tokens) {
    const auto token = whole_number(value);
    if (!token || *token < 0 || *token >= context.vocab.size)
      return fields.refuse("stop_token_ids", fmt::format("must hold tokens from 0 to {}, but holds {}",
                                                         context.vocab.size - 1, describe(value)));
    out.tokens.push_back(static_cast<int32_t>(*token));
  }
}

}  // namespace

void read_sampling(Fields& fields, const RequestContext& context, Generate& out) {
  Sampling& sampling = out.sampling;
  sampling.temperature = fields.number("temperature", 0, kMaxTemperature).value_or(1);
  sampling.top_p = fields.number("top_p", 0, 1).value_or(1);
  if (sampling.top_p == 0) fields.refuse("top_p", "must be a number above 0 and at most 1, but is 0");
  sampling.min_p = fields.number("min_p", 0, 1).value_or(0);
  const int64_t top_k = fields.integer("top_k", -1, kMaxInt).value_or(0);
  sampling.top_k = top_k < 0 ? 0 : static_cast<int32_t>(top_k);  // -1 is vLLM's word for all
  sampling.presence_penalty = fields.number("presence_penalty", -2, 2).value_or(0);
  sampling.frequency_penalty = fields.number("frequency_penalty", -2, 2).value_or(0);
  sampling.repetition_penalty = fields.number("repetition_penalty", 0.01, 10).value_or(1);
  constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();
  constexpr int64_t kHighest = std::numeric_limits<int64_t>::max();
  if (const auto seed = fields.integer("seed", kLowest, kHighest)) sampling.seed = static_cast<uint64_t>(*seed);
  read_logit_bias(fields, context, sampling);
  out.stopping.min_tokens = static_cast<int32_t>(fields.integer("min_tokens", 0, kMaxInt).value_or(0));
  out.stopping.ignore_eos = fields.boolean("ignore_eos").value_or(false);
  read_stop_tokens(fields, context, out.stopping);
}

void read_stops(Fields& fields, std::string_view name, const RequestContext& context, Stopping& out) {
  const json::value* found = fields.any(name);
  if (found == nullptr) return;
  json::array all;
  if (found->is_array())
    all = found->get_array();
  else
    all.push_back(*found);
  if (all.size() > context.limits.max_stops)
    return fields.refuse(
        name, fmt::format("must have at most {} strings, but has {}", context.limits.max_stops, all.size()));
  for (const json::value& value : all) {
    if (!value.is_string() || value.get_string().empty())
      return fields.refuse(name, fmt::format("must be a string or a list of strings, none of them empty, but {} {}",
                                             found->is_array() ? "holds" : "is",
                                             value.is_string() ? "an empty string" : describe(value)));
    out.strings.emplace_back(value.get_string());
  }
}

void read_choices(Fields& fields, const RequestContext& context, bool stream, Generate& out) {
  const int64_t most = context.limits.max_n;
  out.n = static_cast<int32_t>(fields.integer("n", 1, most).value_or(1));
  const int32_t best_of = static_cast<int32_t>(fields.integer("best_of", 1, most).value_or(out.n));
  if (best_of < out.n) fields.refuse("best_of", fmt::format("must be at least n ({}), but is {}", out.n, best_of));
  out.beam_search = fields.boolean("use_beam_search").value_or(false);
  const auto width = fields.integer("beam_width", 1, most);
  out.length_penalty = fields.number("length_penalty", -10, 10).value_or(1);
  out.early_stopping = fields.boolean("early_stopping").value_or(false);
  if (out.beam_search) {
    if (width && fields.has("best_of") && *width != best_of)
      fields.refuse("beam_width", fmt::format("is {} and 'best_of' is {}: both name the number of beams, give one of "
                                              "them",
                                              *width, best_of));
    out.beams = static_cast<int32_t>(width.value_or(best_of));
    if (out.beams < out.n)
      fields.refuse("beam_width", fmt::format("must be at least n ({}), but is {}", out.n, out.beams));
    if (stream) fields.refuse("stream", "must be false with use_beam_search: the best beam is known at the end only");
    return;
  }
  if (width) fields.refuse("beam_width", "needs use_beam_search");
  if (best_of > out.n) {
    out.best_of = best_of;
    if (stream) fields.refuse("stream", "must be false when best_of is above n: the best is known at the end only");
  }
}

Framing read_framing(Fields& fields) {
  Framing out;
  out.stream = fields.boolean("stream").value_or(false);
  const json::object* options = fields.object("stream_options");
  if (options == nullptr) return out;
  Fields inner(*options, "stream_options");
  out.include_usage = inner.boolean("include_usage").value_or(false);
  if (!inner.ok()) fields.refuse(inner.status().error());
  if (!out.stream) fields.refuse("stream_options", "is only allowed when 'stream' is true");
  return out;
}

Guide read_guide(Fields& fields) {
  Guide out;
  if (const json::value* schema = fields.any("guided_json")) {
    if (schema->is_object())
      out.json_schema = json::serialize(*schema);
    else if (schema->is_string())
      out.json_schema = std::string(schema->get_string());
    else
      fields.refuse("guided_json", "must be a JSON schema, as an object or as its text, but is " + describe(*schema));
  }
  for (const std::string_view name : {"guided_grammar", "grammar"}) {
    const auto gbnf = fields.text(name);
    if (!gbnf || gbnf->empty()) continue;
    if (!out.gbnf.empty() && out.gbnf != *gbnf) fields.refuse(name, "contradicts 'guided_grammar': give one of them");
    out.gbnf = *gbnf;
  }
  for (const std::string_view name : {"guided_regex", "guided_choice", "structured_outputs"})
    if (fields.has(name)) fields.refuse(name, "is not served here: use guided_json or guided_grammar (GBNF)");
  if (!out.gbnf.empty() && !out.json_schema.empty())
    fields.refuse("guided_json", "contradicts a grammar: give one of them");
  return out;
}

base::Status check_context(const RequestContext& context, llm::Dialect dialect, const Generate& request) {
  const int64_t prompt = static_cast<int64_t>(request.prompt.size());
  const int64_t answer = request.stopping.max_tokens;
  const int64_t most = context.context_tokens;
  if (request.stopping.min_tokens > answer && answer > 0)
    return base::fail(base::Code::kInvalid, fmt::format("'min_tokens' is {}, more than the {} tokens that the answer "
                                                        "may have",
                                                        request.stopping.min_tokens, answer));
  if (prompt < most && prompt + answer <= most) return {};
  if (llm::is_anthropic(dialect)) {
    if (prompt >= most)
      return base::fail(base::Code::kTooLarge,
                        fmt::format("prompt is too long: {} tokens > {} maximum", prompt, most));
    return base::fail(base::Code::kTooLarge,
                      fmt::format("input length and `max_tokens` exceed context limit: {} + {} > {}, decrease input "
                                  "length or `max_tokens` and try again",
                                  prompt, answer, most));
  }
  if (prompt >= most)
    return base::fail(base::Code::kTooLarge,
                      fmt::format("This model's maximum context length is {} tokens, prompt and answer together, but "
                                  "the prompt alone has {} tokens. Please shorten it.",
                                  most, prompt));
  return base::fail(base::Code::kTooLarge,
                    fmt::format("This model's maximum context length is {} tokens. However, you requested {} tokens "
                                "({} in the prompt, {} in the answer). Please reduce the length of either.",
                                most, prompt + answer, prompt, answer));
}

}  // namespace payonce::engine
