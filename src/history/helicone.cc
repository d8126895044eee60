// Helicone: what its export tool and its request query give, as CSV, JSON or JSONL. A body that was not exported is
// an object with one member, helicone_message. Its prompt_tokens leave out what was read from and written to a cache.
#include "history/body.h"
#include "history/readers.h"
#include "history/usage.h"

namespace payonce::history {
namespace {

constexpr std::string_view kNoReference = "00000000-0000-0000-0000-000000000000";

class Helicone : public Reader {
 public:
  using Reader::Reader;

  void record(const Json& row, uint64_t line) override {
    Arena& arena = sink_.arena();
    const Json id = row.first({"request_id", "id"});
    if (!id) return sink_.skip(line, "no request_id in it: not a request of Helicone");
    Call call;
    call.format = Format::kHelicone;
    call.line = line;
    call.id = id.text(arena);
    call.at_ms = row.first({"request_created_at", "created_at", "createdAt"}).time_ms();
    call.latency_ms = row.first({"delay_ms", "latency", "latency_ms"}).integer(-1);
    call.first_ms = row.first({"time_to_first_token", "timeToFirstToken"}).integer(-1);
    const int64_t end_ms = row["response_created_at"].time_ms();
    if (call.latency_ms < 0 && end_ms >= call.at_ms && call.at_ms > 0) call.latency_ms = end_ms - call.at_ms;
    call.user = row.first({"request_user_id", "user_id", "helicone_user"}).text(arena);
    const Embedded properties(row.first({"request_properties", "properties"}), arena);
    call.session = properties.json().first({"Helicone-Session-Id", "helicone-session-id"}).text(arena);
    call.provider = row["provider"].text(arena);
    call.model = row.first({"response_model", "request_model", "model_override", "model"}).text(arena);
    call.status = static_cast<int>(row.first({"response_status", "status"}).integer(200));
    if (call.status < 100) call.status = 500;  // its own codes: −3 cancelled, −1 threat, …
    call.billed_usd = row.first({"cost", "cost_usd", "costUSD"}).number(-1);
    const std::string_view reference = row["cache_reference_id"].text(arena);
    call.from_cache = (!reference.empty() && reference != kNoReference) || row.first({"cache_hit", "cached"}).flag();
    call.dialect = dialect_of_path(row.first({"request_path", "target_url"}).text(arena));
    const Embedded request(row["request_body"], arena), response(row["response_body"], arena);
    if (is_request_body(request.json())) set_request(call, request.json(), arena);
    if (response.json().is_object() && !response.json()["helicone_message"])
      set_response(call, response.json(), arena);
    else if (!response.json())
      set_response(call, row["response_body"], arena);
    if (!call.usage.known) set_counts(call, row);
    sink_.add(call, call.id);
  }

 private:
  static void set_counts(Call& call, const Json& row) {
    if (!row["prompt_tokens"]) return;
    call.usage.fresh = count_of(row["prompt_tokens"]);
    call.usage.read = count_of(row["prompt_cache_read_tokens"]);
    call.usage.write_short = count_of(row["prompt_cache_write_tokens"]);
    call.usage.output = count_of(row["completion_tokens"]);
    call.usage.known = true;
    call.usage.read_known = bool(row["prompt_cache_read_tokens"]);
  }
};

}  // namespace

bool claims_helicone(const Json& value) {
  if (!value["request_id"]) return false;
  return value["request_created_at"] || value["cache_reference_id"] ||
         (value["request_body"] && value.first({"response_id", "delay_ms", "request_path", "request_model"}));
}

std::unique_ptr<Reader> make_helicone(Sink& sink) { return std::make_unique<Helicone>(sink); }

}  // namespace payonce::history
