#include "retrieval/classify.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/ascii.h"
#include "identity/canonical_json.h"
#include "llm/json_view.h"
#include "route/routes.h"

namespace payonce::retrieval {
namespace {

using llm::JsonType;
using llm::JsonView;

constexpr size_t kMaxTextBytes = 8192;  // of a query that is compared in meaning

bool only_reads(std::string_view method) { return method == "GET" || method == "HEAD" || method == "OPTIONS"; }

// `elided`: a value that counts as one mark.
std::string one_spelling(const JsonView& body, uint32_t node, uint32_t elided = JsonView::kNone) {
  return identity::canonical_json(body.tape(), body.text(), node, elided);
}

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

// The decoded segments; nothing for a path that a server might read as another one ("//", "..", "%2F").
std::optional<std::vector<std::string>> segments_of(std::string_view path) {
  std::vector<std::string> out;
  if (!path.starts_with('/')) return std::nullopt;
  path.remove_prefix(1);
  while (true) {
    const size_t end = path.find('/');
    std::string segment = base::percent_decoded(path.substr(0, end));
    if (segment.empty() || segment == "." || segment == ".." || segment.find('/') != std::string::npos)
      return std::nullopt;
    out.push_back(std::move(segment));
    if (end == std::string_view::npos) return out;
    path.remove_prefix(end + 1);
  }
}

std::string joined(const std::vector<std::string>& segments, size_t from) {
  std::string out;
  for (size_t i = from; i < segments.size(); ++i) out += (out.empty() ? "" : "/") + segments[i];
  return out;
}

bool is_one_of(std::string_view word, std::span<const std::string_view> words) {
  return std::ranges::find(words, word) != words.end();
}

// A text that a person could have asked: no program of a query language, whose filters would go unseen.
std::string plain_text(std::string text) {
  if (text.size() > kMaxTextBytes || text.find_first_of("{}\n") != std::string::npos) return {};
  return text;
}

// `node`: what holds the query: an array of numbers, or a string; kNone: the whole body counts as the query.
Query query_at(const JsonView& body, uint32_t node) {
  Query out;
  if (node == JsonView::kNone) {
    out.asked = one_spelling(body, 0);
    return out;
  }
  out.form = one_spelling(body, 0, node);
  out.asked = one_spelling(body, node);
  out.vector = body.numbers(node);
  out.text = plain_text(body.string(node));
  return out;
}

Classified query_of(std::string collection, Query query) {
  return {.act = Act::kQuery, .collection = std::move(collection), .query = std::move(query)};
}

size_t limit_of(const JsonView& body, std::string_view name, size_t standard) {
  const uint32_t node = body.member(0, name);
  if (node == JsonView::kNone) return standard;
  const auto value = body.number(node);
  return value && *value >= 1 && *value <= 1000 ? static_cast<size_t>(*value) : 0;
}

// ---- Qdrant: https://api.qdrant.tech, REST -------------------------------------------------------------------

// The vector or text: {"query": […]}, {"query": {"nearest": […]}}, {"query": {"text": "…", "model": …}},
// {"vector": […]}, {"vector": {"name": …, "vector": […]}}.
uint32_t qdrant_query_node(const JsonView& body, bool search) {
  uint32_t node = body.member(0, search ? "vector" : "query");
  if (const uint32_t inner = body.member(node, search ? "vector" : "nearest"); inner != JsonView::kNone) node = inner;
  if (const uint32_t text = body.member(node, "text"); body.is(text, JsonType::kString)) return text;
  return body.is(node, JsonType::kArray) && !body.numbers(node).empty() ? node : JsonView::kNone;
}

Classified qdrant_query(std::string collection, std::string_view operation, const StoreRequest& request) {
  const auto body = request.readable ? JsonView::parse(request.body) : std::nullopt;
  if (!body || body->has_member_anywhere("sample")) return {};  // "sample": "random" has no answer to keep
  const bool search = operation == "points/search";
  const bool batch = operation.ends_with("batch");
  Query query = query_at(*body, batch ? JsonView::kNone : qdrant_query_node(*body, search));
  constexpr std::array<std::string_view, 8> kSimple = {"query",        "vector",      "limit",  "filter",
                                                       "with_payload", "with_vector", "params", "shard_key"};
  if (!query.vector.empty() && body->only_members(0, kSimple) &&
      body->is(body->member(0, "with_vector"), JsonType::kTrue))
    query.limit = limit_of(*body, "limit", 10);
  return query_of(std::move(collection), std::move(query));
}

Classified qdrant(const StoreRequest& request) {
  if (only_reads(request.method)) return {};
  const auto path = segments_of(path_of(request.target));
  if (!path || path->size() < 2 || path->front() != "collections" || (*path)[1] == "aliases")
    return {.act = Act::kWrite};
  const std::string operation = joined(*path, 2);
  constexpr std::array<std::string_view, 4> kQueries = {"points/query", "points/search", "points/query/batch",
                                                        "points/search/batch"};
  constexpr std::array<std::string_view, 14> kReads = {"points",
                                                       "points/scroll",
                                                       "points/count",
                                                       "points/query/groups",
                                                       "points/search/groups",
                                                       "points/recommend",
                                                       "points/recommend/batch",
                                                       "points/recommend/groups",
                                                       "points/discover",
                                                       "points/discover/batch",
                                                       "points/search/matrix/pairs",
                                                       "points/search/matrix/offsets",
                                                       "facet",
                                                       "exists"};
  if (request.method == "POST" && is_one_of(operation, kQueries)) return qdrant_query((*path)[1], operation, request);
  if (request.method == "POST" && is_one_of(operation, kReads)) return {};
  const std::string_view parameters = request.target.substr(path_of(request.target).size());
  return {.act = Act::kWrite,
          .collection = (*path)[1],
          .applied_later = parameters.find("wait=true") == std::string_view::npos};
}

// ---- Chroma: /api/v2/tenants/T/databases/D/collections/ID/query, or /api/v1/collections/ID/query ------------------

Classified chroma_query(std::string collection, std::string_view operation, const StoreRequest& request) {
  const auto body = request.readable ? JsonView::parse(request.body) : std::nullopt;
  if (!body) return {};
  const uint32_t vectors = body->member(0, "query_embeddings");
  const bool one = operation == "query" && body->children(vectors) == 1 && body->is(vectors, JsonType::kArray);
  Query query = query_at(*body, one ? body->element(vectors, 0) : JsonView::kNone);
  query.text.clear();  // a base64 vector
  constexpr std::array<std::string_view, 6> kSimple = {"query_embeddings", "n_results", "include", "where",
                                                       "where_document",   "ids"};
  if (!query.vector.empty() && body->only_members(0, kSimple)) query.limit = limit_of(*body, "n_results", 10);
  return query_of(std::move(collection), std::move(query));
}

Classified chroma(const StoreRequest& request) {
  if (only_reads(request.method)) return {};
  const auto path = segments_of(path_of(request.target));
  const Classified all{.act = Act::kWrite, .applied_later = false};
  if (!path) return all;
  const auto collections = std::ranges::find(*path, "collections");
  const auto at = static_cast<size_t>(collections - path->begin());
  // What makes a tenant, a database or a collection changes none that is there.
  if (request.method == "POST" &&
      (path->back() == "tenants" || path->back() == "databases" || at + 1 == path->size()))
    return {};
  if (at + 1 >= path->size() || request.method == "DELETE") return all;  // a collection is deleted by its name
  const std::string& id = (*path)[at + 1];
  const std::string operation = joined(*path, at + 2);
  if (request.method == "POST" && (operation == "query" || operation == "search"))
    return chroma_query(id, operation, request);
  if (request.method == "POST" && (operation == "get" || operation == "count")) return {};
  return {.act = Act::kWrite, .collection = id, .applied_later = false};
}

// ---- any other, as it is configured
// --------------------------------------------------------------------------------

bool matches(std::span<const std::string> patterns, const StoreRequest& request) {
  return std::ranges::any_of(patterns, [&](const std::string& pattern) {
    const size_t blank = pattern.find(' ');
    return pattern.substr(0, blank) == request.method && blank != std::string::npos &&
           route::matches_pattern(std::string_view(pattern).substr(blank + 1), path_of(request.target));
  });
}

Classified http(const StoreRules& rules, const StoreRequest& request) {
  if (matches(rules.write, request)) return {.act = Act::kWrite};
  if (matches(rules.read, request)) {
    const auto body = request.readable ? JsonView::parse(request.body) : std::nullopt;
    if (!body) return {};
    const uint32_t node = body->at(rules.query_path);
    const bool usable = !body->numbers(node).empty() || !plain_text(body->string(node)).empty();
    return query_of("", query_at(*body, usable ? node : JsonView::kNone));
  }
  if (only_reads(request.method) || (!rules.write.empty() && request.method == "POST")) return {};
  return {.act = Act::kWrite};
}

}  // namespace

std::string_view kind_name(StoreKind kind) {
  switch (kind) {
    case StoreKind::kQdrant: return "qdrant";
    case StoreKind::kChroma: return "chroma";
    case StoreKind::kHttp: return "http";
    case StoreKind::kPostgres: return "postgres";
  }
  return "http";
}

Classified classify(const StoreRules& rules, const StoreRequest& request) {
  switch (rules.kind) {
    case StoreKind::kQdrant: return qdrant(request);
    case StoreKind::kChroma: return chroma(request);
    case StoreKind::kHttp: return http(rules, request);
    case StoreKind::kPostgres: break;
  }
  const auto body = request.readable && request.method == "POST" && path_of(request.target) == "/query"
                        ? JsonView::parse(request.body)
                        : std::nullopt;
  if (!body) return {};
  const uint32_t vector = body->member(0, "vector");
  const uint32_t text = body->member(0, "text");
  const bool both = vector != JsonView::kNone && text != JsonView::kNone;
  return query_of(body->string(body->member(0, "collection")), query_at(*body, both ? JsonView::kNone
                                                                               : vector != JsonView::kNone ? vector
                                                                                                           : text));
}

bool is_good_list(std::string_view body) {
  const auto view = JsonView::parse(body);
  if (!view) return false;
  const auto empty = [&](std::string_view name) {
    const uint32_t node = view->member(0, name);
    return node == JsonView::kNone || view->is(node, JsonType::kNull) ||
           (view->is(node, JsonType::kArray) && view->children(node) == 0);
  };
  const double failed_shards = view->number(view->member(view->member(0, "_shards"), "failed")).value_or(0);
  return empty("errors") && empty("error") && !view->is(view->member(0, "timed_out"), JsonType::kTrue) &&
         view->number(view->member(0, "code")).value_or(0) == 0 && failed_shards == 0;
}

}  // namespace payonce::retrieval
