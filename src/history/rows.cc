// Rows {timestamp, latency_ms, path, session, request, response}, every field but `request` optional; bare request
// bodies; and envelopes as recorders of HTTP write them: {request: {url, headers, body}, response: {status_code,
// headers, body | body_raw}, logged_at} (claude-trace).
#include "history/body.h"
#include "history/readers.h"
#include "history/usage.h"

namespace payonce::history {
namespace {

std::string_view host_of(std::string_view path) {
  const size_t scheme = path.find("://");
  if (scheme == std::string_view::npos) return {};
  path.remove_prefix(scheme + 3);
  return path.substr(0, path.find('/'));
}

// What `payonce serve --record` says of answers that were not bought.
bool is_own_layer(std::string_view cache) { return cache == "exact" || cache == "semantic" || cache == "collapsed"; }

constexpr std::string_view kNoRequest = "no request in it: expected \"request\", or \"messages\" or \"input\"";

class Rows : public Reader {
 public:
  using Reader::Reader;

  void record(const Json& row, uint64_t line) override {
    Call call;
    call.line = line;
    if (is_request_body(row)) {
      set_request(call, row, sink_.arena());
      sink_.add(call, {});
      return;
    }
    const Json request = row.first({"request", "request_body", "body"});
    const Embedded whole(request, sink_.arena());
    if (!whole.json().is_object())
      return sink_.skip(
          line, std::string(request.is_string() ? "the request is a string that holds no JSON object" : kNoRequest));
    const Json envelope = whole.json()["body"].is_object() ? whole.json() : Json();
    set_fields(call, row, envelope);
    set_request(call, envelope ? envelope["body"] : whole.json(), sink_.arena());
    set_answer(call, row, envelope);
    std::string key(row.first({"id", "request_id"}).text(sink_.arena()));
    call.id = sink_.arena().keep(key);
    if (!key.empty())
      key.append("@").append(std::to_string(call.at_ms));  // ids of one's own may count from 1 in every file
    sink_.add(call, key);
  }

 private:
  void set_fields(Call& call, const Json& row, const Json& envelope) {
    Arena& arena = sink_.arena();
    Json path = row.first({"path", "url", "endpoint"});
    if (!path) path = envelope.first({"path", "url"});
    const std::string_view url = path.text(arena);
    call.dialect = dialect_of_path(url);
    call.at_ms = row.first({"timestamp", "ts", "time", "start_time", "startTime"}).time_ms();
    if (call.at_ms == 0) call.at_ms = envelope["timestamp"].time_ms();
    call.latency_ms = std::max<int64_t>(-1, row.first({"latency_ms", "duration_ms"}).integer(-1));
    call.first_ms = std::max<int64_t>(-1, row.first({"first_byte_ms", "ttft_ms"}).integer(-1));
    call.session = row.first({"session", "session_id"}).text(arena);
    if (call.session.empty()) call.session = session_of_headers(row["headers"], arena);
    if (call.session.empty()) call.session = session_of_headers(envelope["headers"], arena);
    call.user = row.first({"user", "user_id"}).text(arena);
    call.provider = row.first({"provider", "upstream"}).text(arena);
    if (call.provider.empty()) call.provider = host_of(url);
    call.status = static_cast<int>(row.first({"status", "status_code"}).integer(200));
    call.batch = row["batch"].flag();
    call.from_cache = row.first({"from_cache", "cache_hit"}).flag() || is_own_layer(row["cache"].text(arena));
    call.billed_usd = row.first({"cost_usd", "cost"}).number(-1);
  }

  void set_answer(Call& call, const Json& row, const Json& request) {
    Json response = row.first({"response", "response_body"});
    const Json body = response.first({"body", "body_raw"});
    if (body && response.first({"status_code", "status", "headers"})) {
      call.status = static_cast<int>(response.first({"status_code", "status"}).integer(call.status));
      const int64_t end_ms = response["timestamp"].time_ms();
      if (call.latency_ms < 0 && end_ms > 0 && request["timestamp"] && end_ms >= call.at_ms)
        call.latency_ms = end_ms - call.at_ms;
      response = body;
    }
    set_response(call, response, sink_.arena());
    if (!call.usage.known) call.usage = usage_of(row["usage"]);
    if (call.model.empty()) call.model = row["model"].text(sink_.arena());
  }
};

}  // namespace

std::unique_ptr<Reader> make_rows(Sink& sink) { return std::make_unique<Rows>(sink); }

}  // namespace payonce::history
