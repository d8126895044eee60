#include "gateway/admin.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <utility>

#include "dashboard/assets.h"
#include "gateway/explain_admin.h"
#include "gateway/prefix_admin.h"
#include "gateway/query.h"
#include "gateway/retrieval_admin.h"
#include "gateway/semantic_admin.h"
#include "identity/scope.h"

namespace payonce::gateway {
namespace json = boost::json;

namespace {

constexpr size_t kSites = 100;  // call sites an answer lists at most

}  // namespace

Admin::Admin(Parts parts, Options options)
    : parts_(parts), options_(std::move(options)), guard_(options_.guard), feed_(parts.recent, parts.clock) {}

void Admin::stop() { feed_.stop(); }

bool Admin::is_foreign_page(const net::RequestHead& head) const {
  return guard_.is_foreign_page(head) && identity::credential_of(head.headers).empty();
}

void Admin::handle(std::shared_ptr<net::Exchange> exchange) {
  const std::string_view target = exchange->head().target;
  const size_t mark = target.find('?');
  const std::string_view path = target.substr(0, mark);
  const std::string_view query = mark == std::string_view::npos ? "" : target.substr(mark + 1);
  const std::string& method = exchange->head().method;
  const bool asset = dashboard::is_asset_path(path);
  std::string_view wanted = asset ? "GET" : "";
  for (const Endpoint& endpoint : endpoint_table())
    if (endpoint.path == path) wanted = endpoint.method;
  if (wanted.empty())
    return reply_error(*exchange, 404, fmt::format("no endpoint {}; docs/operations/endpoints.md has all", path));
  if (method != wanted && !(wanted == "GET" && method == "HEAD"))
    return reply_error(*exchange, 405, fmt::format("{} takes {}", path, wanted));
  if (asset) return dashboard::serve_asset(*exchange, path);
  const bool has_credential = !identity::credential_of(exchange->head().headers).empty();
  if (wanted == "POST" && !has_credential && dashboard::is_cross_site(exchange->head()))
    return reply_error(*exchange, 403, "a page of another site may change nothing here");
  route(exchange, path, query);
}

void Admin::route(const std::shared_ptr<net::Exchange>& exchange, std::string_view path, std::string_view query) {
  if (path == "/healthz") return reply_text(*exchange, 200, "text/plain; charset=utf-8", "ok\n");
  if (path == "/readyz")
    return options_.ready()
               ? reply_text(*exchange, 200, "text/plain; charset=utf-8", "ready\n")
               : reply_text(*exchange, 503, "text/plain; charset=utf-8", "not ready: the upstream is starting\n");
  if (path == "/metrics") return metrics(exchange);
  if (path == "/payonce/v1/stats") return stats(exchange);
  if (path == "/payonce/v1/savings") return savings(exchange, query);
  if (path == "/payonce/v1/session") return session(exchange);
  if (path == "/payonce/v1/events") return events(exchange);
  if (path == "/payonce/v1/requests") return requests(exchange, query);
  if (path == "/payonce/v1/last-hour") return last_hour(exchange);
  if (path == "/payonce/v1/upstreams") return upstreams(exchange);
  if (path == "/payonce/v1/cache") return list_entries(exchange, query);
  if (path == "/payonce/v1/cache/entry") return get_entry(exchange, query);
  if (path == "/payonce/v1/explain") return explain(exchange, query);
  if (path == "/payonce/v1/prefix" || path == "/payonce/v1/breakers")
    return prefix_layer(exchange, path == "/payonce/v1/breakers");
  const auto verb = agent::verb_of(path);
  if (verb && verb != agent::Verb::kFeedback) return call_agent_api(exchange, *verb);
  if (path == "/payonce/v1/feedback") return feedback(exchange);
  if (path == "/payonce/v1/retrieval/invalidate") return invalidate(exchange);
  purge(exchange);
}

void Admin::reply_text(net::Exchange& exchange, int status, std::string_view type, std::string body) {
  net::ResponseHead head{.status = status};
  head.headers.add("Content-Type", type);
  head.headers.add("Cache-Control", "no-store");
  head.headers.add("X-Content-Type-Options", "nosniff");
  exchange.respond(std::move(head), base::Bytes(std::move(body)));
}

void Admin::reply_json(net::Exchange& exchange, int status, std::string body) {
  reply_text(exchange, status, "application/json", std::move(body));
}

void Admin::reply_error(net::Exchange& exchange, int status, std::string_view message) {
  const json::object error{
      {"error", {{"type", status == 401 ? "unauthorized" : "invalid_request"}, {"message", message}}}};
  reply_json(exchange, status, json::serialize(error));
}

bool Admin::visible_scope(net::Exchange& exchange, std::string* scope, bool* all) {
  const std::string credential = identity::credential_of(exchange.head().headers);
  if (credential.empty() && guard_.may_be_rebound(exchange.head())) {
    reply_error(exchange, 403, "this instance listens on loopback: ask it as 127.0.0.1, or send a credential");
    return false;
  }
  const auto bearer = guard_.judge(credential, exchange.remote_address(), parts_.clock.monotonic_us() / 1000);
  if (bearer == dashboard::Guard::Bearer::kTooManyTries) {
    reply_error(exchange, 429, "too many different credentials from this address; wait a few seconds");
    return false;
  }
  *all = bearer == dashboard::Guard::Bearer::kAdmin;
  if (*all) return true;
  const auto caller = parts_.pipeline.policy()->callers.identify(exchange.head().headers);
  if (!caller) {
    reply_error(exchange, base::code_http_status(caller.error().code), caller.error().message);
    return false;
  }
  *scope = caller->scope_id;
  return true;
}

bool Admin::is_admin(net::Exchange& exchange) {
  bool all = false;
  std::string own;
  if (!visible_scope(exchange, &own, &all)) return false;
  if (!all) reply_error(exchange, 401, "this tells of all scopes: send the admin token as a bearer token");
  return all;
}

void Admin::explain(const std::shared_ptr<net::Exchange>& exchange, std::string_view query) {
  bool all = false;
  std::string own;
  if (!visible_scope(*exchange, &own, &all)) return;
  const std::string name = query_value(query, "id").value_or("");
  if (name.starts_with("e-")) return explain_agent_entry(exchange, name, all);
  const auto id = pipeline::Explanations::parse(name);
  if (!id)
    return reply_error(*exchange, 400,
                       "id: expected the X-Payonce-Id of an answer, such as r-0123456789abcdef, "
                       "or an entry of the agent API, such as e-0123…");
  const auto found = parts_.pipeline.explanations().find(*id);
  if (!found || (!all && found->prepared->scope != own))
    return reply_error(*exchange, 404, "no such request of this scope, or it is too long ago");
  const bool queued = parts_.pool.post([this, exchange, what = *found] {
    std::string body = json::serialize(explanation_json(what, parts_.pipeline.explanations().nearest(what)));
    exchange->loop().post([this, exchange, body = std::move(body)] { reply_json(*exchange, 200, body); });
  });
  if (!queued) reply_error(*exchange, 503, "the worker queue is full; try again");
}

void Admin::prefix_layer(const std::shared_ptr<net::Exchange>& exchange, bool breakers) {
  if (!is_admin(*exchange)) return;
  pipeline::PrefixStage* prefix = parts_.pipeline.prefix();
  if (prefix == nullptr) return reply_error(*exchange, 404, "the prefix layer is off; name it in layers");
  reply_json(*exchange, 200, json::serialize(breakers ? breakers_json(*prefix) : prefix_sites_json(*prefix, kSites)));
}

void Admin::feedback(const std::shared_ptr<net::Exchange>& exchange) {
  bool all = false;
  std::string own;
  if (!visible_scope(*exchange, &own, &all)) return;
  boost::system::error_code error;
  const json::value body = json::parse(exchange->body().view(), error);
  if (!error && body.is_object() && body.get_object().contains("entry"))
    return call_agent_api(exchange, agent::Verb::kFeedback);
  const json::value* hit = !error && body.is_object() ? body.get_object().if_contains("hit") : nullptr;
  if (hit == nullptr || !hit->is_string())
    return reply_error(
        *exchange, 400,
        "expected {\"hit\":\"…\"}, the X-Payonce-Hit of the answer that was wrong, or {\"entry\":\"e-…\"}");
  for (const auto& [name, value] : body.get_object())
    if (name != "hit" && !(name == "wrong" && value.is_bool() && value.get_bool()))
      return reply_error(
          *exchange, 400,
          fmt::format("{}: unknown field or wrong value; known: hit (string), wrong (true)", std::string_view(name)));
  pipeline::SemanticStage* semantic = parts_.pipeline.semantic();
  const bool known =
      semantic != nullptr && semantic->feedback_wrong(std::string(hit->get_string()), all ? std::string_view() : own);
  if (!known) return reply_error(*exchange, 404, "no such semantic hit of this scope, or it is too long ago");
  reply_json(*exchange, 200, R"({"status":"ok"})");
}

void Admin::invalidate(const std::shared_ptr<net::Exchange>& exchange) {
  bool all = false;
  std::string own;
  if (!visible_scope(*exchange, &own, &all)) return;
  if (const auto done = invalidate_store(parts_.retrieval, exchange->body().view()); !done)
    return reply_error(*exchange, base::code_http_status(done.error().code), done.error().message);
  reply_json(*exchange, 200, R"({"status":"ok"})");
}

void Admin::savings(const std::shared_ptr<net::Exchange>& exchange, std::string_view query) {
  bool all = false;
  std::string own;
  if (!visible_scope(*exchange, &own, &all)) return;
  const auto days = whole_number(query_value(query, "days").value_or("30"));
  if (!days || *days < 1 || *days > 3660)
    return reply_error(*exchange, 400, "days: expected a number from 1 to 3660");
  const bool queued = parts_.pool.post([this, exchange, all, own, count = static_cast<int>(*days)] {
    json::array rows;
    for (const record::LedgerRow& row : parts_.ledger.rows(count, all ? "" : own))
      rows.push_back(json::object{{"day", row.day},
                                  {"scope", row.scope},
                                  {"model", row.model},
                                  {"layer", row.layer},
                                  {"requests", row.requests},
                                  {"input_tokens", row.input_tokens},
                                  {"output_tokens", row.output_tokens},
                                  {"usd", row.usd}});
    json::object out{{"rows", std::move(rows)}};
    if (pipeline::SemanticStage* semantic = parts_.pipeline.semantic())
      out["semantic_wrong_answers"] = wrong_answers(*semantic);
    std::string body = json::serialize(out);
    exchange->loop().post([this, exchange, body = std::move(body)] { reply_json(*exchange, 200, body); });
  });
  if (!queued) reply_error(*exchange, 503, "the worker queue is full; try again");
}

}  // namespace payonce::gateway
