// The entries of the exact layer, as /payonce/v1/cache… shows and removes them.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "gateway/admin.h"
#include "gateway/query.h"
#include "gateway/retrieval_admin.h"

namespace payonce::gateway {
namespace json = boost::json;
namespace {

constexpr size_t kListLimit = 1000;  // entries an answer lists at most
constexpr size_t kListDefault = 100;

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

// "next" of a page: when its last entry was made, in milliseconds, a dot, and its key.
std::optional<cache::ListPosition> position_of(std::string_view text) {
  cache::ListPosition out;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out.created_ms);
  if (error != std::errc() || end == text.data() + text.size() || *end != '.') return std::nullopt;
  out.key = text.substr(static_cast<size_t>(end - text.data()) + 1);
  return out;
}

}  // namespace

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
    const auto seconds = whole_number(*age);
    if (!seconds) return reply_error(*exchange, 400, "older_than: expected whole seconds");
    filter.older_than_s = *seconds;
  }
  size_t limit = kListDefault;
  if (const auto text = query_value(query, "limit")) {
    const auto number = whole_number(*text);
    if (!number || *number < 1) return reply_error(*exchange, 400, "limit: expected a number from 1 to 1000");
    limit = std::min<size_t>(static_cast<size_t>(*number), kListLimit);
  }
  std::optional<cache::ListPosition> after;
  if (const auto text = query_value(query, "after")) {
    after = position_of(*text);
    if (!after) return reply_error(*exchange, 400, "after: expected the \"next\" of the page before");
  }
  const bool queued = parts_.pool.post([this, exchange, filter, limit, after] {
    json::array rows;
    const int64_t now_ms = parts_.clock.unix_ms();
    const std::vector<cache::EntryInfo> infos = parts_.store.list(filter, limit, after);
    for (const cache::EntryInfo& info : infos) rows.push_back(entry_json(info, now_ms));
    json::object out{{"entries", std::move(rows)}};
    if (infos.size() == limit) out["next"] = fmt::format("{}.{}", infos.back().created_ms, infos.back().key);
    exchange->loop().post(
        [this, exchange, body = json::serialize(out)]() mutable { reply_json(*exchange, 200, std::move(body)); });
  });
  if (!queued) reply_error(*exchange, 503, "the worker queue is full; try again");
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
    json::object out = entry_json(cache::info_of(*entry), parts_.clock.unix_ms());
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
    parts_.agent.cache().forget_what_is_gone();
    exchange->loop().post([this, exchange, removed] {
      reply_json(*exchange, 200, fmt::format(R"({{"status":"ok","removed":{}}})", removed));
    });
  };
  if (!parts_.pool.post(work)) reply_error(*exchange, 503, "the worker queue is full; try again");
}

}  // namespace payonce::gateway
