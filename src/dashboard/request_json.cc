#include "dashboard/request_json.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <utility>

namespace payonce::dashboard {
namespace json = boost::json;

namespace {

double ms(int64_t us) { return static_cast<double>(us) / 1000; }

}  // namespace

json::object request_json(const RecentRequest& request) {
  const Facts& facts = request.facts;
  const bool hit = facts.outcome == "hit";
  json::object out{{"sequence", request.sequence},
                   {"at_ms", facts.at_ms},
                   {"dialect", llm::dialect_name(facts.dialect)},
                   {"status", facts.status},
                   {"outcome", facts.outcome},
                   {"total_ms", ms(facts.total_us)},
                   {"own_ms", ms(facts.own_us)},
                   {hit ? "saved" : "cost", json::object{{"input_tokens", facts.input_tokens},
                                                         {"output_tokens", facts.output_tokens},
                                                         {"usd", facts.usd}}}};
  if (facts.id != 0) out["id"] = fmt::format("r-{:016x}", facts.id);
  if (!request.model.empty()) out["model"] = request.model;
  if (!request.scope.empty()) out["scope"] = request.scope;
  if (!request.upstream.empty()) out["upstream"] = request.upstream;
  if (!facts.layer.empty()) out["layer"] = facts.layer;
  if (facts.upstream_us >= 0) out["upstream_ms"] = ms(facts.upstream_us);
  if (!facts.reason.empty()) out["reason"] = facts.reason;
  if (!facts.semantic.empty()) out["semantic"] = facts.semantic;
  if (facts.collapsed) out["collapsed"] = true;
  return out;
}

json::object minute_json(const LastHour::Minute& minute) {
  return {{"at_ms", minute.minute * 60'000},
          {"requests", minute.requests},
          {"hits", minute.hits},
          {"failed", minute.failed},
          {"saved_usd", minute.saved_usd},
          {"spent_usd", minute.spent_usd},
          {"saved_tokens", minute.saved_tokens}};
}

json::object last_hour_json(const LastHour& hour, int64_t now_ms) {
  json::array minutes;
  for (const LastHour::Minute& minute : hour.minutes(now_ms)) minutes.push_back(minute_json(minute));
  json::object out{{"minutes", std::move(minutes)}};
  const int64_t median = hour.own_us_quantile(now_ms, 0.5);
  if (median >= 0)
    out["added_ms"] = json::object{{"p50", ms(median)}, {"p95", ms(hour.own_us_quantile(now_ms, 0.95))}};
  return out;
}

}  // namespace payonce::dashboard
