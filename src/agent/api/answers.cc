#include "agent/api/answers.h"

#include <algorithm>
#include <boost/json.hpp>

#include "net/field_list.h"

namespace payonce::agent {
namespace json = boost::json;
namespace {

json::object versions_json(std::string_view versions) {
  json::object out;
  net::for_each_item(versions, [&](std::string_view tag) {
    const size_t equals = tag.find('=');
    out[tag.substr(0, equals)] = tag.substr(std::min(tag.size(), equals + 1));
  });
  return out;
}

json::object dependency_json(const Dependency& dep) {
  json::object out{{"type", type_name(dep.type)}};
  out[is_on_disk(dep.type) ? "path" : "name"] = dep.name;
  return out;
}

void add_tags(json::object& out, std::string_view tools_tag) {
  if (!tools_tag.empty()) out["tags"] = json::object{{"tools", tools_tag}};
}

void add_explanation(json::object& out, const Nearest& nearest) {
  json::array changed;
  for (const std::string& name : nearest.changed) changed.emplace_back(name);
  json::object explain{{"nearest", nullptr}, {"changed", std::move(changed)}};
  if (nearest.entry) explain["nearest"] = nearest.entry->id();
  out["explain"] = std::move(explain);
}

}  // namespace

// The value stands last, as it came: it is not read again.
std::string hit_json(const Hit& hit, const Question& question, int64_t now_ms) {
  const Entry& entry = *hit.entry;
  json::object out{{"status", "hit"},
                   {"entry", entry.id()},
                   {"key", entry.key},
                   {"age", std::max<int64_t>(0, now_ms - entry.created_ms) / 1000},
                   {"versions", versions_json(entry.versions)},
                   {"detail", hit.similarity  ? "semantic"
                              : hit.by_intent ? "intent"
                                              : "exact"}};
  if (hit.similarity) {
    out["similarity"] = *hit.similarity;
    out["hit"] = hit.id;
  }
  if (hit.pending) out["pending"] = true;
  add_tags(out, entry.tools_tag);
  json::object provenance{{"created", entry.created_ms / 1000}, {"dependencies", entry.observed.size()}};
  if (!entry.run.empty()) provenance["run"] = entry.run;
  out["provenance"] = std::move(provenance);
  if (entry.input_tokens + entry.output_tokens > 0 || entry.cost_usd > 0)
    out["saved"] = json::object{
        {"input_tokens", entry.input_tokens}, {"output_tokens", entry.output_tokens}, {"usd", entry.cost_usd}};
  if (question.explain) add_explanation(out, {hit.entry, {}});
  std::string text = json::serialize(out);
  text.pop_back();
  text += ",\"value\":";
  text += hit.value.view();
  text += '}';
  return text;
}

std::string miss_json(const Miss& miss, const Question& question) {
  const bool stale = miss.reason == Reason::kDependency;
  json::object out{{"status", stale ? "stale" : "miss"},
                   {"ticket", miss.ticket},
                   {"expires_in", Runs::kTtl_ms / 1000},
                   {"key", miss.key},
                   {"reason", reason_name(miss.reason)}};
  if (stale) {
    json::array changed;
    for (const Dependency& dep : miss.stale) changed.push_back(dependency_json(dep));
    out["stale"] = std::move(changed);
  }
  if (miss.in_flight) out["in_flight"] = true;
  add_tags(out, question.tools_tag);
  if (question.explain) add_explanation(out, miss.nearest);
  return json::serialize(out);
}

std::string explained_json(const AgentCache::Explained& explained, int64_t now_ms) {
  const Entry& entry = *explained.entry;
  json::array parts, dependencies;
  for (const PartMark& part : entry.parts) parts.emplace_back(part.name);
  for (const Observed& seen : entry.observed) {
    json::object dependency = dependency_json(seen.dependency);
    const bool changed = std::any_of(explained.changed.begin(), explained.changed.end(),
                                     [&](const Dependency& dep) { return dep.same_thing(seen.dependency); });
    dependency["changed"] = changed;
    dependencies.push_back(std::move(dependency));
  }
  json::object out{{"entry", entry.id()},
                   {"key", entry.key},
                   {"kind", kind_name(entry.kind)},
                   {"fresh", explained.changed.empty() && entry.expires_ms > now_ms},
                   {"age", std::max<int64_t>(0, now_ms - entry.created_ms) / 1000},
                   {"expires_in", std::max<int64_t>(0, entry.expires_ms - now_ms) / 1000},
                   {"versions", versions_json(entry.versions)},
                   {"scope_names", entry.scope_names},
                   {"parts", std::move(parts)},
                   {"dependencies", std::move(dependencies)},
                   {"value_bytes", entry.value_bytes}};
  add_tags(out, entry.tools_tag);
  if (!entry.run.empty()) out["run"] = entry.run;
  return json::serialize(out);
}

std::string committed_json(const Committed& committed) {
  if (!committed.entry)
    return json::serialize(json::object{{"status", "dropped"}, {"reason", drop_name(committed.drop)}});
  return json::serialize(
      json::object{{"status", "stored"}, {"entry", committed.entry->id()}, {"key", committed.entry->key}});
}

std::string error_json(const base::Error& error) {
  std::string_view type = "invalid_request";
  switch (error.code) {
    case base::Code::kUnauthorized: type = "unauthorized"; break;
    case base::Code::kForbidden: type = "forbidden"; break;
    case base::Code::kNotFound:
      type = error.message.starts_with("no such ticket") ? "unknown_ticket" : "not_found";
      break;
    case base::Code::kExhausted: type = "overloaded"; break;
    case base::Code::kInvalid:
    case base::Code::kTooLarge: break;
    default: type = "internal"; break;
  }
  return json::serialize(json::object{{"error", json::object{{"type", type}, {"message", error.message}}}});
}

std::string kind_stats_json(const AgentCache& cache) {
  json::object out;
  for (const Kind kind : kKinds) {
    const AgentCache::KindStats stats = cache.stats(kind);
    json::object reasons;
    for (const Reason reason : kReasons) reasons[reason_name(reason)] = stats.reasons[static_cast<size_t>(reason)];
    out[kind_name(kind)] = json::object{{"hits", stats.hits},
                                        {"misses", stats.misses},
                                        {"entries", stats.entries},
                                        {"bytes", stats.bytes},
                                        {"by_meaning", stats.by_meaning},
                                        {"dropped", stats.dropped},
                                        {"reasons", std::move(reasons)},
                                        {"saved", json::object{{"input_tokens", stats.saved_input_tokens},
                                                               {"output_tokens", stats.saved_output_tokens},
                                                               {"usd", stats.saved_usd}}}};
  }
  return json::serialize(out);
}

}  // namespace payonce::agent
