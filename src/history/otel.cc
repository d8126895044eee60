// OpenTelemetry: OTLP/JSON (what a collector's file exporter writes) with GenAI attributes, current and older
// spellings, OpenLLMetry's and OpenInference's. Spans of calls to a model count; agents and tools around them are
// none. By the conventions the cached counts are included in the input; where they are larger than it, the emitter
// left them out.
#include <algorithm>
#include <span>

#include "history/body.h"
#include "history/readers.h"
#include "history/usage.h"

namespace payonce::history {
namespace {

using Names = std::span<const std::string_view>;

// {"key": …, "value": {"stringValue": …}}, or a plain object.
class Attributes {
 public:
  explicit Attributes(const Json& from) {
    from.each([&](const Json& one) {
      Json value;
      one["value"].each_member([&](const Json&, const Json& inner) { value = inner; });
      all_.emplace_back(one["key"].word(), value);
    });
    from.each_member([&](const Json& name, const Json& value) { all_.emplace_back(name.word(), value); });
  }
  Json first(std::initializer_list<std::string_view> names) const {
    return first(Names(names.begin(), names.size()));
  }
  Json first(Names names) const {
    for (const std::string_view name : names)
      for (const auto& [key, value] : all_)
        if (key == name && value) return value;
    return {};
  }
  bool any_begins_with(std::string_view prefix) const {
    return std::any_of(all_.begin(), all_.end(), [&](const auto& one) { return one.first.starts_with(prefix); });
  }

 private:
  std::vector<std::pair<std::string_view, Json>> all_;
};

constexpr std::string_view kInput[] = {"gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens",
                                       "llm.usage.prompt_tokens", "llm.token_count.prompt"};
constexpr std::string_view kOutput[] = {"gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens",
                                        "llm.usage.completion_tokens", "llm.token_count.completion"};
constexpr std::string_view kRead[] = {
    "gen_ai.usage.cache_read.input_tokens",      "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.input_tokens.cached",          "gen_ai.usage.cached_input_tokens",
    "llm.usage.cache_read_input_tokens",         "gen_ai.usage.details.cache_read_tokens",
    "llm.token_count.prompt_details.cache_read", "gen_ai.usage.input_tokens_details.cached"};
constexpr std::string_view kWritten[] = {
    "gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.input_tokens.cache_write",    "gen_ai.usage.cache_write_input_tokens",
    "llm.usage.cache_creation_input_tokens",    "llm.token_count.prompt_details.cache_write"};
constexpr std::string_view kModel[] = {"gen_ai.response.model", "gen_ai.request.model", "llm.response.model",
                                       "llm.request.model", "llm.model_name"};

bool is_call(const Attributes& attributes) {
  const std::string_view operation = attributes.first({"gen_ai.operation.name"}).word();
  if (!operation.empty())
    return operation == "chat" || operation == "text_completion" || operation == "generate_content" ||
           operation == "embeddings" || operation == "completion" || operation == "message";
  const std::string_view kind = attributes.first({"openinference.span.kind", "traceloop.span.kind"}).word();
  return (kind.empty() || kind == "LLM" || kind == "EMBEDDING") && attributes.first(kModel) &&
         attributes.first(kInput);
}

llm::Usage usage_of_span(const Attributes& attributes) {
  const Json told = attributes.first(kInput), cached = attributes.first(kRead);
  const int64_t read = count_of(cached), written = count_of(attributes.first(kWritten));
  const int64_t input = count_of(told) + (read + written > count_of(told) ? read + written : 0);
  llm::Usage out = inclusive_usage(input, read, written, 0, count_of(attributes.first(kOutput)));
  out.known = bool(told);
  out.read_known = bool(cached);
  return out;
}

class Otel : public Reader {
 public:
  using Reader::Reader;

  void record(const Json& value, uint64_t line) override {
    const Json resources = value.first({"resourceSpans", "resource_spans"});
    if (resources.is_array()) {
      resources.each([&](const Json& resource) {
        resource.first({"scopeSpans", "scope_spans", "instrumentationLibrarySpans"}).each([&](const Json& scope) {
          scope["spans"].each([&](const Json& one) { span(one, line); });
        });
      });
    } else if (value["attributes"]) {
      span(value, line);
    } else if (value.first({"resourceLogs", "resourceMetrics"})) {
      sink_.ignore("logs and metrics");
    } else {
      sink_.skip(line, "no spans in it: not OTLP/JSON");
    }
  }

 private:
  void span(const Json& span, uint64_t line) {
    Arena& arena = sink_.arena();
    const Attributes attributes(span["attributes"]);
    if (!is_call(attributes)) return sink_.ignore("other span");
    Call call;
    call.format = Format::kOtel;
    call.line = line;
    const Json id = attributes.first({"gen_ai.response.id"});
    std::string key(span.first({"traceId", "trace_id"}).word());
    key.append("/").append(span.first({"spanId", "span_id"}).word());
    call.id = id ? id.text(arena) : arena.keep(key);
    set_times(call, span, attributes);
    call.session = attributes
                       .first({"gen_ai.conversation.id", "session.id", "traceloop.association.properties.session_id",
                               "langfuse.session.id"})
                       .text(arena);
    call.user = attributes.first({"user.id", "enduser.id", "langfuse.user.id"}).text(arena);
    call.model = attributes.first(kModel).text(arena);
    call.provider =
        attributes.first({"gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"}).text(arena);
    if (attributes.first({"gen_ai.operation.name"}).word() == "embeddings")
      call.dialect = llm::Dialect::kOpenAiEmbeddings;
    call.usage = usage_of_span(attributes);
    call.from_cache = attributes.first({"payonce.cache.outcome"}).word() == "hit";
    const Json status = span["status"]["code"];
    if (status.integer() == 2 || status.word() == "STATUS_CODE_ERROR") call.status = 500;
    call.status = static_cast<int>(attributes.first({"http.response.status_code"}).integer(call.status));
    hear(call, attributes);
    sink_.add(call, key.size() > 1 ? std::string_view(key) : call.id);
  }

  static void set_times(Call& call, const Json& span, const Attributes& attributes) {
    call.at_ms = span.first({"startTimeUnixNano", "start_time_unix_nano", "start_time"}).time_ms();
    const int64_t end_ms = span.first({"endTimeUnixNano", "end_time_unix_nano", "end_time"}).time_ms();
    if (end_ms >= call.at_ms && call.at_ms > 0) call.latency_ms = end_ms - call.at_ms;
    const double first_s = attributes
                               .first({"gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token",
                                       "gen_ai.response.time_to_first_token"})
                               .number(-1);
    if (first_s >= 0 && first_s < 1e6) call.first_ms = static_cast<int64_t>(first_s * 1000);
  }

  // The messages have the conventions' shape, not the body's: they are told as pieces.
  void hear(Call& call, const Attributes& attributes) {
    std::vector<Piece> pieces;
    for (const std::string_view name : {"gen_ai.tool.definitions", "gen_ai.system_instructions", "gen_ai.prompt",
                                        "gen_ai.input.messages", "gen_ai.request.messages", "input.value"}) {
      const Json value = attributes.first({name});
      if (!value) continue;
      const Embedded whole(value["values"] ? value["values"] : value, sink_.arena());
      add_pieces(pieces,
                 name == "gen_ai.input.messages" ? ""
                 : name == "gen_ai.prompt"       ? "user"
                                                 : "system",
                 whole.json() ? whole.json() : value, call.at_ms);
    }
    if (pieces.empty()) return;
    call.heard = {sink_.log().conversations.size(), 0, pieces.size()};
    sink_.log().conversations.push_back(std::move(pieces));
  }
};

}  // namespace

bool claims_otel(const Json& value) {
  if (value.first({"resourceSpans", "resource_spans", "resourceLogs", "resourceMetrics"}).is_array()) return true;
  const Json attributes = value["attributes"];
  if (!attributes || !value.first({"spanId", "span_id"})) return false;
  const Attributes all(attributes);
  return all.any_begins_with("gen_ai.") || all.any_begins_with("llm.");
}

std::unique_ptr<Reader> make_otel(Sink& sink) { return std::make_unique<Otel>(sink); }

}  // namespace payonce::history
