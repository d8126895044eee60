#include "gateway/retrieval_admin.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <string>

#include "gateway/retrieval_proxy.h"
#include "net/field_list.h"

namespace payonce::gateway {
namespace json = boost::json;

json::object retrieval_json(RetrievalProxy& proxy) {
  const retrieval::RetrievalStage::Stats stats = proxy.stage().stats();
  const retrieval::RetrievalStage::Options& options = proxy.stage().options();
  return {
      {"hits", stats.hits()},
      {"misses", stats.misses()},
      {"entries", stats.cache.entries},
      {"bytes", stats.cache.bytes},
      {"groups", stats.cache.groups},
      {"evictions", stats.cache.evictions},
      {"writes", stats.writes},
      {"faults", stats.faults},
      {"rules", json::object{{"equal", stats.equal}, {"paraphrase", stats.paraphrase}, {"seeded", stats.seeded}}},
      {"reasons",
       json::object{
           {"cold", stats.cold}, {"expired", stats.expired}, {"epoch", stats.epoch}, {"no_cache", stats.no_cache}}},
      {"recall", json::object{{"bound", options.recall_bound},
                              {"seeding", options.seed},
                              {"searches", stats.recall.searches},
                              {"mean", stats.recall.mean},
                              {"low", stats.recall.low},
                              {"confidence", 0.95}}}};
}

base::Status invalidate_store(RetrievalProxy* proxy, std::string_view body) {
  boost::system::error_code error;
  const json::value value = json::parse(body, error);
  const json::object* object = error ? nullptr : value.if_object();
  const auto text = [&](std::string_view name) -> std::string {
    const json::value* found = object == nullptr ? nullptr : object->if_contains(name);
    return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
  };
  const std::string name = text("store");
  if (name.empty())
    return base::fail(base::Code::kInvalid,
                      "expected a JSON object, e.g. {\"store\":\"docs\",\"collection\":\"faq\"}");
  if (proxy != nullptr)
    for (const VectorStore& store : proxy->stores())
      if (store.rules.name == name) {
        proxy->stage().forget(store.rules, text("collection"));
        return {};
      }
  return base::fail(base::Code::kNotFound, fmt::format("no vector store '{}'; see [retrieval.NAME]", name));
}

uint64_t purge_lists(RetrievalProxy* proxy, const cache::PurgeFilter& filter, int64_t now_ms) {
  if (proxy == nullptr || !filter.key.empty() || !filter.model.empty()) return 0;
  return proxy->stage().purge([&](std::string_view scope, std::string_view versions, int64_t created_ms) {
    return (filter.version.empty() || net::has_item(versions, filter.version)) &&
           (filter.scope.empty() || filter.scope == scope) &&
           (filter.older_than_s < 0 || now_ms - created_ms >= filter.older_than_s * 1000);
  });
}

}  // namespace payonce::gateway
