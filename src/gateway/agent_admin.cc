// The agent API over HTTP.
#include <boost/json.hpp>
#include <utility>

#include "agent/api/answers.h"
#include "gateway/admin.h"
#include "identity/scope.h"

namespace payonce::gateway {
namespace json = boost::json;

namespace {

// A caller that a proxy on this machine speaks for is somewhere else, and so are its files.
bool is_on_this_machine(const net::Exchange& exchange) {
  const net::Headers& headers = exchange.head().headers;
  const bool passed_on = headers.get("x-forwarded-for") || headers.get("forwarded") || headers.get("via");
  return !passed_on && dashboard::is_loopback(exchange.remote_address());
}

}  // namespace

void Admin::call_agent_api(const std::shared_ptr<net::Exchange>& exchange, agent::Verb verb) {
  const net::Headers& headers = exchange->head().headers;
  if (identity::credential_of(headers).empty() && guard_.may_be_rebound(exchange->head()))
    return reply_error(*exchange, 403,
                       "this instance listens on loopback: ask it as 127.0.0.1, or send a credential");
  parts_.agent.call(verb, exchange->body(), {.headers = headers, .on_this_machine = is_on_this_machine(*exchange)},
                    exchange->loop(), [this, exchange](agent::Reply reply) {
                      reply_json(*exchange, reply.status, std::move(reply.body));
                    });
}

void Admin::explain_agent_entry(const std::shared_ptr<net::Exchange>& exchange, const std::string& id, bool all) {
  const auto caller = parts_.pipeline.policy()->callers.identify(exchange->head().headers);
  if (!all && !caller) return reply_error(*exchange, 401, caller.error().message);
  const bool queued = parts_.pool.post([this, exchange, id, owner = all ? "" : caller->credential_id] {
    const auto explained = parts_.agent.cache().explain(id, owner);
    const int64_t now_ms = parts_.clock.unix_ms();
    exchange->loop().post([this, exchange, explained, now_ms] {
      if (!explained.entry) return reply_error(*exchange, 404, "no such entry of this credential");
      reply_json(*exchange, 200, agent::explained_json(explained, now_ms));
    });
  });
  if (!queued) reply_error(*exchange, 503, "the worker queue is full; try again");
}

// Kinds stand beside the layers; "retrieval" is one of both.
void Admin::add_agent_kinds(json::object& layers) const {
  json::object kinds = json::parse(agent::kind_stats_json(parts_.agent.cache())).as_object();
  for (auto& [name, kind] : kinds) {
    if (layers.contains(name))
      layers[name].as_object()["agent"] = std::move(kind);
    else
      layers[name] = std::move(kind);
  }
}

}  // namespace payonce::gateway
