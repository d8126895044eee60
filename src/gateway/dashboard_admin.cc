// What the dashboard asks for beside the rest of the admin API: a session, requests as they end, the last hour, and
// the upstreams.
#include <boost/json.hpp>
#include <charconv>
#include <utility>

#include "dashboard/request_json.h"
#include "gateway/admin.h"
#include "gateway/query.h"
#include "gateway/route_admin.h"
#include "identity/scope.h"

namespace payonce::gateway {
namespace json = boost::json;
namespace {

constexpr size_t kRequestsDefault = 100;

uint64_t last_event_id(const net::Headers& headers) {
  const std::string_view text = headers.get("last-event-id").value_or("");
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : 0;
}

}  // namespace

// With a credential: who its bearer is. Without: the token of a local session, where that is allowed.
void Admin::session(const std::shared_ptr<net::Exchange>& exchange) {
  if (identity::credential_of(exchange->head().headers).empty()) {
    const auto token = guard_.local_session(exchange->head(), exchange->remote_address());
    if (!token) return reply_error(*exchange, 401, token.error().message);
    return reply_json(*exchange, 200, json::serialize(json::object{{"admin", true}, {"token", *token}}));
  }
  bool all = false;
  std::string own;
  if (!visible_scope(*exchange, &own, &all)) return;
  json::object out{{"admin", all}};
  if (!all) out["scope"] = own;
  reply_json(*exchange, 200, json::serialize(out));
}

void Admin::requests(const std::shared_ptr<net::Exchange>& exchange, std::string_view query) {
  dashboard::Viewer viewer;
  if (!visible_scope(*exchange, &viewer.scope, &viewer.all)) return;
  size_t limit = kRequestsDefault;
  if (const auto text = query_value(query, "limit")) {
    const auto number = whole_number(*text);
    if (!number || *number < 1) return reply_error(*exchange, 400, "limit: expected a number from 1 to 1024");
    limit = static_cast<size_t>(*number);
  }
  json::array rows;
  for (const dashboard::RecentRequest& request : parts_.recent.after(0, limit, viewer))
    rows.push_back(dashboard::request_json(request));
  reply_json(*exchange, 200, json::serialize(json::object{{"requests", std::move(rows)}}));
}

void Admin::events(const std::shared_ptr<net::Exchange>& exchange) {
  dashboard::Viewer viewer;
  if (!visible_scope(*exchange, &viewer.scope, &viewer.all)) return;
  if (exchange->head().method == "HEAD") return reply_text(*exchange, 200, "text/event-stream; charset=utf-8", "");
  if (!feed_.open(exchange, std::move(viewer), last_event_id(exchange->head().headers)))
    reply_error(*exchange, 503, "too many listen already; close other pages, or poll GET /payonce/v1/requests");
}

void Admin::last_hour(const std::shared_ptr<net::Exchange>& exchange) {
  if (!is_admin(*exchange)) return;
  reply_json(*exchange, 200,
             json::serialize(dashboard::last_hour_json(parts_.recent.last_hour(), parts_.clock.unix_ms())));
}

void Admin::upstreams(const std::shared_ptr<net::Exchange>& exchange) {
  if (!is_admin(*exchange)) return;
  reply_json(*exchange, 200, json::serialize(upstreams_json(parts_.pipeline, parts_.clock.unix_ms())));
}

}  // namespace payonce::gateway
