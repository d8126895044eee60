#include "gateway/admin.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "gateway/explain_admin.h"
#include "gateway/prefix_admin.h"
#include "gateway/retrieval_admin.h"
#include "gateway/route_admin.h"
#include "gateway/semantic_admin.h"
#include "identity/scope.h"

namespace payonce::gateway {
namespace json = boost::json;

std::string_view status_page();  // generated from status.html

namespace {

constexpr size_t kListLimit = 1000;  // entries an answer lists at most
constexpr size_t kListDefault = 100;

// Value of `name` in a query string, percent-decoded.
std::optional<std::string> query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    const size_t equals = pair.find('=');
    if (pair.substr(0, equals) == name && equals != std::string_view::npos) {
      const std::string_view raw = pair.substr(equals + 1);
      std::string out;
      for (size_t i = 0; i < raw.size(); ++i) {
        const auto digit = [](char c) {
          return c >= '0' && c <= '9'   ? c - '0'
                 : c >= 'a' && c <= 'f' ? c - 'a' + 10
                 : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                        : -1;
        };
        if (raw[i] == '%' && i + 2 < raw.size() && digit(raw[i + 1]) >= 0 && digit(raw[i + 2]) >= 0) {
          out.push_back(static_cast<char>(digit(raw[i + 1]) * 16 + digit(raw[i + 2])));
          i += 2;
        } else {
          out.push_back(raw[i] == '+' ? ' ' : raw[i]);
        }
      }
      return out;
    }
    query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
  }
  return std::nullopt;
}

std::optional<int64_t> seconds_of(const std::string& text) {
  if (text.empty() || text.size() > 12 || text.find_first_not_of("0123456789") != std::string::npos)
    return std::nullopt;
  return std::stoll(text);
}

json::object entry_json(const cache::EntryInfo& info, int64_t now_ms) {
  return {{"key", info.key},
          {"scope", info.scope},
          {"versions", info.versions},
          {"model", info.model},
          {"bytes", info.size_bytes},
          {"age_s", (now_ms - info.created_ms) / 1000},
          {"ttl_s", (info.expires_ms - now_ms) / 1000},
          {"hits", info.hits},
          {"memory", info.in_memory},
          {"disk", info.on_disk}};
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
  return difference == 0;
}

}  // namespace

Admin::Admin(Parts parts, Options options) : parts_(parts), options_(std::move(options)) {}

void Admin::handle(std::shared_ptr<net::Exchange> exchange) {
  const std::string_view target = exchange->head().target;
  const size_t mark = target.find('?');
  const std::string_view path = target.substr(0, mark);
  const std::string_view query = mark == std::string_view::npos ? "" : target.substr(mark + 1);
  const std::string& method = exchange->head().method;
  bool known = false;
  for (const Endpoint& endpoint : endpoint_table()) known = known || endpoint.path == path;
  if (!known) return reply_error(*exchange, 404, fmt::format("no endpoint {}; see GET / for what there is", path));
  const bool changes = path == "/payonce/v1/cache/purge" || path == "/payonce/v1/feedback" ||
                       path == "/payonce/v1/retrieval/invalidate";
  const std::string_view wanted = changes ? "POST" : "GET";
  if (method != wanted && !(wanted == "GET" && method == "HEAD"))
    return reply_error(*exchange, 405, fmt::format("{} takes {}", path, wanted));

  if (path == "/healthz") return reply_text(*exchange, 200, "text/plain; charset=utf-8", "ok\n");
  if (path == "/readyz")
    return options_.ready()
               ? reply_text(*exchange, 200, "text/plain; charset=utf-8", "ready\n")
               : reply_text(*exchange, 503, "text/plain; charset=utf-8", "not ready: the upstream is starting\n");
  if (path == "/metrics") {
    options_.before_scrape();
    return reply_text(*exchange, 200, "text/plain; version=0.0.4; charset=utf-8", parts_.metrics.exposition());
  }
  if (path == "/") return reply_text(*exchange, 200, "text/html; charset=utf-8", std::string(status_page()));
  if (path == "/payonce/v1/stats") return reply_json(*exchange, 200, stats_json());
  if (path == "/payonce/v1/savings") return savings(exchange, query);
  if (path == "/payonce/v1/cache") return list_entries(exchange, query);
  if (path == "/payonce/v1/cache/entry") return get_entry(exchange, query);
  if (path == "/payonce/v1/explain") return explain(exchange, query);
  if (path == "/payonce/v1/prefix" || path == "/payonce/v1/breakers")
    return prefix_layer(exchange, path == "/payonce/v1/breakers");
  if (path == "/payonce/v1/feedback") return feedback(exchange);
  if (path == "/payonce/v1/retrieval/invalidate") return invalidate(exchange);
  purge(exchange);
}

void Admin::reply_text(net::Exchange& exchange, int status, std::string_view type, std::string body) {
  net::ResponseHead head{.status = status};
  head.headers.add("Content-Type", type);
  head.headers.add("Cache-Control", "no-store");
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
  *all = !options_.token.empty() && equal_in_constant_time(credential, options_.token);
  if (*all) return true;
  const auto caller = parts_.pipeline.policy()->callers.identify(exchange.head().headers);
  if (!caller) {
    reply_error(exchange, base::code_http_status(caller.error().code), caller.error().message);
    return false;
  }
  *scope = caller->scope_id;
  return true;
}

void Admin::list_entries(const std::shared_ptr<net::Exchange>& exchange, std::string_view query) {
  cache::PurgeFilter filter;
  bool all = false;
  std::string own;
  if (!visible_scope(*exchange, &own, &all)) return;
  filter.key = query_value(query, "key").value_or("");
  filter.version = query_value(query, "version").value_or("");
  filter.model = query_value(query, "model").value_or("");
  filter.scope = all ? query_value(query, "scope").value_or("") : own;
  if (const auto age = query_value(query, "older_than")) {
    const auto seconds = seconds_of(*age);
    if (!seconds) return reply_error(*exchange, 400, "older_than: expected whole seconds");
    filter.older_than_s = *seconds;
  }
  size_t limit = kListDefault;
  if (const auto text = query_value(query, "limit")) {
    const auto number = seconds_of(*text);
    if (!number || *number < 1) return reply_error(*exchange, 400, "limit: expected a number from 1 to 1000");
    limit = std::min<size_t>(static_cast<size_t>(*number), kListLimit);
  }
  json::array rows;
  const int64_t now_ms = parts_.clock.unix_ms();
  for (const cache::EntryInfo& info : parts_.store.list(filter, limit)) rows.push_back(entry_json(info, now_ms));
  reply_json(*exchange, 200, json::serialize(json::object{{"entries", std::move(rows)}}));
}

void Admin::get_entry(const std::shared_ptr<net::Exchange>& exchange, std::string_view query) {
  bool all = false;
  std::string own;
  if (!visible_scope(*exchange, &own, &all)) return;
  const auto key = query_value(query, "key");
  if (!key || key->empty()) return reply_error(*exchange, 400, "key: missing; take one from GET /payonce/v1/cache");
  const auto reply = [this, exchange, all, own, key = *key](const cache::EntryPtr& entry) {
    // One answer for "not there" and "not yours": a caller learns nothing of other scopes.
    if (!entry || (!all && entry->scope != own)) return reply_error(*exchange, 404, "no such entry");
    cache::EntryInfo info{.key = entry->key,
                          .scope = entry->scope,
                          .versions = entry->versions,
                          .model = entry->model,
                          .size_bytes = entry->body.size(),
                          .created_ms = entry->created_ms,
                          .expires_ms = entry->expires_ms,
                          .in_memory = true};
    json::object out = entry_json(info, parts_.clock.unix_ms());
    out["dialect"] = llm::dialect_name(entry->dialect);
    out["form"] = entry->form == llm::Form::kStream ? "stream" : "json";
    out["content_type"] = entry->content_type;
    out["usage"] = json::object{{"input", entry->usage.input()}, {"output", entry->usage.output}};
    out["cost_usd"] = entry->cost_usd;
    out["body"] = entry->body.view();
    reply_json(*exchange, 200, json::serialize(out));
  };
  const cache::Found found = parts_.store.find(*key);
  if (found.entry || found.reason != cache::MissReason::kOnDisk) return reply(found.entry);
  const bool queued = parts_.pool.post([this, exchange, reply, key = *key] {
    exchange->loop().post([reply, entry = parts_.store.load(key)] { reply(entry); });
  });
  if (!queued) reply_error(*exchange, 503, "the worker queue is full; try again");
}

void Admin::explain(const std::shared_ptr<net::Exchange>& exchange, std::string_view query) {
  bool all = false;
  std::string own;
  if (!visible_scope(*exchange, &own, &all)) return;
  const auto id = pipeline::Explanations::parse(query_value(query, "id").value_or(""));
  if (!id)
    return reply_error(*exchange, 400, "id: expected the X-Payonce-Id of an answer, such as r-0123456789abcdef");
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
  bool all = false;
  std::string own;
  if (!visible_scope(*exchange, &own, &all)) return;
  if (!all) return reply_error(*exchange, 401, "this tells of all scopes: send the admin token as a bearer token");
  pipeline::PrefixStage* prefix = parts_.pipeline.prefix();
  if (prefix == nullptr) return reply_error(*exchange, 404, "the prefix layer is off; name it in layers");
  reply_json(*exchange, 200,
             json::serialize(breakers ? breakers_json(*prefix) : prefix_sites_json(*prefix, kListDefault)));
}

void Admin::feedback(const std::shared_ptr<net::Exchange>& exchange) {
  bool all = false;
  std::string own;
  if (!visible_scope(*exchange, &own, &all)) return;
  boost::system::error_code error;
  const json::value body = json::parse(exchange->body().view(), error);
  const json::value* hit = !error && body.is_object() ? body.get_object().if_contains("hit") : nullptr;
  if (hit == nullptr || !hit->is_string())
    return reply_error(*exchange, 400, "expected {\"hit\":\"…\"}, the X-Payonce-Hit of the answer that was wrong");
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

void Admin::purge(const std::shared_ptr<net::Exchange>& exchange) {
  bool all = false;
  std::string own;
  if (!visible_scope(*exchange, &own, &all)) return;
  boost::system::error_code error;
  const json::value body = json::parse(exchange->body().view(), error);
  if (error || !body.is_object())
    return reply_error(*exchange, 400, "expected a JSON object, e.g. {\"version\":\"tools=v3\"}");
  cache::PurgeFilter filter;
  bool everything = false;
  for (const auto& [name, value] : body.as_object()) {
    const bool text = value.is_string();
    const std::string string = text ? std::string(value.as_string()) : "";
    if (name == "key" && text)
      filter.key = string;
    else if (name == "scope" && text)
      filter.scope = string;
    else if (name == "version" && text)
      filter.version = string;
    else if (name == "model" && text)
      filter.model = string;
    else if (name == "older_than" && value.is_int64() && value.as_int64() >= 0)
      filter.older_than_s = value.as_int64();
    else if (name == "all" && value.is_bool())
      everything = value.as_bool();
    else
      return reply_error(*exchange, 400,
                         fmt::format("{}: unknown field or wrong type; known: key, scope, version, model "
                                     "(strings), older_than (seconds), all (true)",
                                     std::string_view(name)));
  }
  const bool selects = !filter.key.empty() || !filter.scope.empty() || !filter.version.empty() ||
                       !filter.model.empty() || filter.older_than_s >= 0;
  if (!selects && !everything)
    return reply_error(*exchange, 400, "nothing named to purge; to remove everything say {\"all\":true}");
  if (!all) {
    if (!filter.scope.empty() && filter.scope != own)
      return reply_json(*exchange, 200, R"({"status":"ok","removed":0})");
    filter.scope = own;
  }
  const auto work = [this, exchange, filter] {
    const uint64_t removed =
        parts_.store.purge(filter) + purge_lists(parts_.retrieval, filter, parts_.clock.unix_ms());
    parts_.pipeline.forget_what_is_gone();
    exchange->loop().post([this, exchange, removed] {
      reply_json(*exchange, 200, fmt::format(R"({{"status":"ok","removed":{}}})", removed));
    });
  };
  if (!parts_.pool.post(work)) reply_error(*exchange, 503, "the worker queue is full; try again");
}

void Admin::savings(const std::shared_ptr<net::Exchange>& exchange, std::string_view query) {
  bool all = false;
  std::string own;
  if (!visible_scope(*exchange, &own, &all)) return;
  const auto days = seconds_of(query_value(query, "days").value_or("30"));
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

std::string Admin::stats_json() const {
  const pipeline::Pipeline::ExactStats exact = parts_.pipeline.exact_stats();
  const cache::ResponseStore::Stats store = parts_.store.stats();
  json::object out{
      {"layers", json::object{{"exact", json::object{{"hits", exact.hits},
                                                     {"misses", exact.misses},
                                                     {"bypassed", exact.bypassed},
                                                     {"collapsed", exact.collapsed},
                                                     {"entries", std::max(store.memory_entries, store.disk_entries)},
                                                     {"bytes", store.memory_bytes},
                                                     {"disk_entries", store.disk_entries},
                                                     {"disk_bytes", store.disk_bytes},
                                                     {"evictions", store.evictions},
                                                     {"reasons", json::object{{"cold", exact.cold},
                                                                              {"expired", exact.expired},
                                                                              {"stale", exact.refreshed},
                                                                              {"fault", exact.fault}}}}}}},
      {"saved", json::object{{"input_tokens", exact.saved_input_tokens},
                             {"output_tokens", exact.saved_output_tokens},
                             {"usd", exact.saved_usd}}}};
  if (pipeline::SemanticStage* semantic = parts_.pipeline.semantic()) add_semantic(*semantic, out);
  if (const pipeline::PrefixStage* prefix = parts_.pipeline.prefix())
    out["layers"].as_object()["prefix"] = prefix_json(*prefix, parts_.keep_alive, *parts_.pipeline.policy());
  out["routing"] = routing_json(parts_.pipeline);
  if (parts_.retrieval != nullptr) out["layers"].as_object()["retrieval"] = retrieval_json(*parts_.retrieval);
  if (options_.engine_stats) out["engine"] = json::parse(options_.engine_stats());
  return json::serialize(out);
}

}  // namespace payonce::gateway
