// Langfuse: observations as its API, batch export (JSON, JSONL, CSV) and traces have them, in camelCase or
// snake_case. One of type GENERATION or EMBEDDING is a call; spans, tools and agents around it are none. Its usage
// details do not overlap (its SDKs subtract), unless their total says that input includes the rest.
#include <algorithm>

#include "history/body.h"
#include "history/readers.h"
#include "history/usage.h"

namespace payonce::history {
namespace {

constexpr std::array<std::string_view, 11> kLangfuseTypes = {"GENERATION", "SPAN",      "EVENT", "EMBEDDING",
                                                             "AGENT",      "TOOL",      "CHAIN", "RETRIEVER",
                                                             "EVALUATOR",  "GUARDRAIL", "trace"};

bool is_type(std::string_view type) {
  return std::find(kLangfuseTypes.begin(), kLangfuseTypes.end(), type) != kLangfuseTypes.end();
}

// Keys as the SDKs spell them: input_cached_tokens (OpenAI), cache_read_input_tokens (Anthropic), input_cache_read
// (LangChain), input_cache_creation…, …ephemeral_1h….
llm::Usage usage_of_details(const Json& details) {
  int64_t plain = 0, read = 0, written = 0, written_long = 0, output = 0;
  bool read_known = false;
  details.each_member([&](const Json& name, const Json& value) {
    const std::string_view key = name.word();
    const auto has = [&](std::string_view part) { return key.find(part) != std::string_view::npos; };
    const int64_t count = count_of(value);
    if (has("priority") || has("total")) return;
    if (has("ephemeral_1h") || has("creation_1h")) {
      written_long += count;
    } else if (has("ephemeral_5m") || has("creation_5m")) {
      return;  // a part of what was created
    } else if (has("cache_creation") || has("cache_write")) {
      written += count;
    } else if (has("cache_read") || has("cached")) {
      read += count;
      read_known = true;
    } else if (key.starts_with("output") || key.starts_with("completion")) {
      output += count;
    } else if (key.starts_with("input") || key.starts_with("prompt")) {
      plain += count;
    }
  });
  written = std::max(written, written_long);
  const int64_t total = details["total"].integer();
  const bool includes = read + written > 0 && total > 0 && total == plain + output;
  llm::Usage out = inclusive_usage(includes ? plain : plain + read + written, read, written, written_long, output);
  out.read_known = read_known;
  out.known = details.size() > 0;
  return out;
}

class Langfuse : public Reader {
 public:
  using Reader::Reader;

  void record(const Json& row, uint64_t line) override {
    if (const Json list = row["observations"]; list.is_array()) {  // a trace with what is in it
      list.each([&](const Json& one) { observation(one, row, line); });
      return;
    }
    observation(row, {}, line);
  }

 private:
  void observation(const Json& row, const Json& trace, uint64_t line) {
    Arena& arena = sink_.arena();
    if (!row.is_object() || !row["id"]) return sink_.skip(line, "no id in it: not an observation of Langfuse");
    const std::string_view type = row["type"].word();
    if (!type.empty() && type != "GENERATION" && type != "EMBEDDING") return sink_.ignore(type);
    Call call;
    call.format = Format::kLangfuse;
    call.line = line;
    call.id = row["id"].text(arena);
    set_times(call, row);
    call.session = row.first({"sessionId", "session_id"}).text(arena);
    if (call.session.empty()) call.session = trace.first({"sessionId", "session_id"}).text(arena);
    if (call.session.empty()) call.session = row.first({"traceId", "trace_id"}).text(arena);
    call.user = row.first({"userId", "user_id"}).text(arena);
    if (call.user.empty()) call.user = trace.first({"userId", "user_id"}).text(arena);
    call.model = row.first({"model", "providedModelName", "provided_model_name"}).text(arena);
    if (row["level"].word() == "ERROR") call.status = 500;
    const Embedded costs(row.first({"costDetails", "cost_details"}), arena);
    call.billed_usd = row.first({"totalCost", "total_cost", "calculatedTotalCost"}).number(-1);
    if (call.billed_usd < 0) call.billed_usd = costs.json()["total"].number(-1);
    if (type == "EMBEDDING") call.dialect = llm::Dialect::kOpenAiEmbeddings;
    set_bodies(call, row);
    set_usage(call, row);
    sink_.add(call, call.id);
  }

  static void set_times(Call& call, const Json& row) {
    call.at_ms = row.first({"startTime", "start_time"}).time_ms();
    const int64_t end_ms = row.first({"endTime", "end_time"}).time_ms();
    const int64_t first_ms = row.first({"completionStartTime", "completion_start_time"}).time_ms();
    if (end_ms > 0 && end_ms >= call.at_ms) call.latency_ms = end_ms - call.at_ms;
    if (first_ms > 0 && first_ms >= call.at_ms) call.first_ms = first_ms - call.at_ms;
    const double first_s = row.first({"timeToFirstToken", "time_to_first_token"}).number(-1);
    if (call.first_ms < 0 && first_s >= 0 && first_s < 1e6) call.first_ms = static_cast<int64_t>(first_s * 1000);
  }

  void set_bodies(Call& call, const Json& row) {
    Arena& arena = sink_.arena();
    const Embedded input(row["input"], arena), output(row["output"], arena);
    const Embedded parameters(row.first({"modelParameters", "model_parameters"}), arena);
    if (input.json().is_object() && is_request_body(input.json()) && input.json()["model"]) {
      set_request(call, input.json(), arena);
    } else {
      const Json inner = input.json()["messages"];
      const Json messages = inner ? inner : input.json().is_array() ? input.json() : row["input"];
      const Embedded rebuilt(rebuilt_request(call.model, messages, inner ? input.json() : parameters.json(), arena));
      if (rebuilt.json()) {
        set_request(call, rebuilt.json(), arena);
        call.request_is_partial = true;
      }
    }
    const Json answer = output.json().is_object() ? output.json() : row["output"];
    if (answer.first({"choices", "usage", "stop_reason"}))
      set_response(call, answer, arena);
    else
      call.response = rebuilt_response(call.model, answer, arena);
  }

  void set_usage(Call& call, const Json& row) {
    const Embedded details(row.first({"usageDetails", "usage_details"}), sink_.arena());
    const Embedded legacy(row["usage"], sink_.arena());
    for (const Json& told : {details.json(), legacy.json()}) {
      if (!told.is_object() || told.size() == 0) continue;
      call.usage = told["input"] ? usage_of_details(told) : usage_of(told);
      if (!call.usage.known) call.usage = usage_of_details(told);
      return;
    }
    if (const Json prompt = row.first({"promptTokens", "prompt_tokens"}))
      call.usage =
          inclusive_usage(count_of(prompt), 0, 0, 0, count_of(row.first({"completionTokens", "completion_tokens"})));
  }
};

}  // namespace

bool claims_langfuse(const Json& value) {
  if (value["observations"].is_array() && value.first({"projectId", "timestamp", "sessionId"})) return true;
  if (value.first({"usageDetails", "usage_details", "completionStartTime", "parentObservationId"}) && value["id"])
    return true;
  return value.first({"traceId", "trace_id"}) && is_type(value["type"].word());
}

std::unique_ptr<Reader> make_langfuse(Sink& sink) { return std::make_unique<Langfuse>(sink); }

}  // namespace payonce::history
