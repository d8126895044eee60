#include "gateway/explain_admin.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <utility>

namespace payonce::gateway {
namespace json = boost::json;
namespace {

json::object tokens_json(const llm::Usage& usage) {
  return {{"fresh", usage.fresh},
          {"read", usage.read},
          {"write_short", usage.write_short},
          {"write_long", usage.write_long},
          {"output", usage.output}};
}

json::object plan_json(const prefix::Plan& plan) {
  json::object acts;
  for (size_t i = 0; i < prefix::kActs; ++i)
    if (plan.acts[i] > 0) acts[prefix::act_name(static_cast<prefix::Act>(i))] = plan.acts[i];
  return {{"changed", plan.body.has_value()},
          {"acts", std::move(acts)},
          {"marks", plan.marks.size()},
          {"tokens_estimate", plan.tokens},
          {"shared_tokens_estimate", plan.shared_tokens},
          {"expected_read_estimate", plan.read_tokens},
          {"site_requests_before", plan.site_requests},
          {"fault", plan.fault}};
}

json::object nearest_json(const pipeline::Nearest& nearest) {
  json::array differences;
  for (const prefix::Difference& difference : nearest.comparison.differences) {
    json::object row{{"path", difference.path}, {"what", difference.what}};
    if (difference.byte_offset >= 0) row["byte_offset"] = difference.byte_offset;
    if (!difference.before.empty()) row["before"] = difference.before;
    if (!difference.now.empty()) row["now"] = difference.now;
    differences.push_back(std::move(row));
  }
  return {{"id", pipeline::Explanations::text(nearest.id)},
          {"at_ms", nearest.at_ms},
          {"common_tokens_estimate", nearest.comparison.common_tokens},
          {"differences", std::move(differences)}};
}

}  // namespace

json::object explanation_json(const pipeline::Explained& of, const std::optional<pipeline::Nearest>& nearest) {
  json::object out{{"id", pipeline::Explanations::text(of.id)},
                   {"at_ms", of.at_ms},
                   {"outcome", of.outcome},
                   {"dialect", llm::dialect_name(of.prepared->dialect)},
                   {"model", of.prepared->model},
                   {"scope", of.prepared->scope},
                   {"key", of.prepared->key}};
  if (!of.prepared->versions.empty()) out["versions"] = of.prepared->versions;
  if (of.outcome == "hit") {
    out["layer"] = of.layer;
    out["age_s"] = of.age_s;
    if (of.similarity > 0) out["similarity"] = of.similarity;
    if (!of.hit_id.empty()) out["hit"] = of.hit_id;
    out["saved"] = json::object{{"tokens", tokens_json(of.billed)}, {"usd", of.cost_usd}};
    return out;
  }
  json::object reasons{{"exact", of.exact}};
  if (!of.semantic.empty()) reasons["semantic"] = of.semantic;
  if (!of.detail.empty()) reasons["detail"] = of.detail;
  if (of.collapsed) reasons["collapsed"] = "joined an equal request in flight";
  out["reasons"] = std::move(reasons);
  if (of.prefix) out["prefix"] = plan_json(*of.prefix);
  if (!of.provider_says.empty()) out["provider_says"] = of.provider_says;
  if (of.settled) {
    out["billed"] = tokens_json(of.billed);
    out["cost_usd"] = of.cost_usd;
  }
  if (nearest) out["nearest"] = nearest_json(*nearest);
  return out;
}

}  // namespace payonce::gateway
