// LiteLLM: rows of the table LiteLLM_SpendLogs (CSV out of the database, JSON of /spend/logs), and the
// StandardLoggingPayload that its callbacks write (S3, GCS, files). Times: startTime, endTime, completionStartTime;
// the latter equals endTime where nothing was streamed. prompt_tokens includes what was read and written.
#include "history/body.h"
#include "history/readers.h"
#include "history/usage.h"

namespace payonce::history {
namespace {

using llm::Dialect;

Dialect dialect_of(std::string_view call_type) {
  if (call_type.ends_with("embedding") || call_type.ends_with("embeddings")) return Dialect::kOpenAiEmbeddings;
  if (call_type.ends_with("text_completion")) return Dialect::kOpenAiCompletions;
  if (call_type.ends_with("responses")) return Dialect::kOpenAiResponses;
  if (call_type.find("anthropic_messages") != std::string_view::npos) return Dialect::kAnthropicMessages;
  return call_type.ends_with("completion") ? Dialect::kOpenAiChat : Dialect::kOther;
}

bool has_members(const Json& value) { return (value.is_object() || value.is_array()) && value.size() > 0; }

class LiteLlm : public Reader {
 public:
  using Reader::Reader;

  void record(const Json& row, uint64_t line) override {
    Arena& arena = sink_.arena();
    if (!row.first({"startTime", "start_time"}))
      return sink_.skip(line, "no startTime in it: not a spend log of LiteLLM");
    Call call;
    call.format = Format::kLiteLlm;
    call.line = line;
    call.id = row.first({"request_id", "id", "litellm_call_id"}).text(arena);
    set_times(call, row);
    call.model = row["model"].text(arena);
    call.provider = row["custom_llm_provider"].text(arena);
    call.session = row["session_id"].text(arena);
    call.user = row["end_user"].text(arena);
    if (call.user.empty()) call.user = row["user"].text(arena);
    call.dialect = dialect_of(row["call_type"].word());
    call.from_cache = row["cache_hit"].flag();
    call.billed_usd = row.first({"spend", "response_cost"}).number(-1);
    const Embedded metadata(row["metadata"], arena);
    if (row["status"].word() == "failure") {
      const Json error = metadata.json()["error_information"]["error_code"];
      call.status = static_cast<int>(error.integer(500));
      if (call.status < 400) call.status = 500;
    }
    set_bodies(call, row);
    const llm::Usage told = usage_of(metadata.json()["usage_object"]);
    if (told.known) call.usage = told;
    if (!call.usage.known) call.usage = usage_of(row);
    sink_.add(call, call.id);
  }

 private:
  static void set_times(Call& call, const Json& row) {
    call.at_ms = row.first({"startTime", "start_time"}).time_ms();
    const int64_t end_ms = row.first({"endTime", "end_time"}).time_ms();
    const int64_t first_ms = row.first({"completionStartTime", "completion_start_time"}).time_ms();
    if (end_ms >= call.at_ms && end_ms > 0) call.latency_ms = end_ms - call.at_ms;
    if (first_ms >= call.at_ms && first_ms > 0 && first_ms < end_ms) call.first_ms = first_ms - call.at_ms;
  }

  void set_bodies(Call& call, const Json& row) {
    Arena& arena = sink_.arena();
    const Embedded stored(row["proxy_server_request"], arena);
    const Json body = stored.json()["body"].is_object() ? stored.json()["body"] : stored.json();
    const Embedded messages(row["messages"], arena);
    if (has_members(body) && is_request_body(body)) {
      set_request(call, body, arena);
    } else {
      const Json list =
          has_members(messages.json()) || !row["messages"].is_string() ? messages.json() : row["messages"];
      const Embedded rebuilt(rebuilt_request(call.model, list, row["model_parameters"], arena));
      if (rebuilt.json()) {
        set_request(call, rebuilt.json(), arena);
        call.request_is_partial = true;
      }
    }
    const Embedded response(row["response"], arena);
    if (has_members(response.json())) set_response(call, response.json(), arena);
  }
};

}  // namespace

bool claims_lite_llm(const Json& value) {
  if (!value.first({"startTime", "start_time"})) return false;
  return bool(value["call_type"]) || (value["request_id"] && value.first({"spend", "api_key", "cache_key"}));
}

std::unique_ptr<Reader> make_lite_llm(Sink& sink) { return std::make_unique<LiteLlm>(sink); }

}  // namespace payonce::history
