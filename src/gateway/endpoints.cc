// The endpoints of our own, as documentation and the router see them.
#include "gateway/admin.h"

namespace payonce::gateway {
namespace {

constexpr Endpoint kEndpoints[] = {
    {"GET", "/", "Status page: what this instance is, and what it saved."},
    {"GET", "/healthz", "200 while the process works."},
    {"GET", "/readyz", "200 when a request would be served, else 503."},
    {"GET", "/metrics", "Prometheus metrics."},
    {"GET", "/payonce/v1/stats",
     "Hits and misses by layer and reason, entries, bytes, tokens and money saved; the upstreams' loads and "
     "prefixes; "
     "blocks and tokens of an engine inside (JSON)."},
    {"GET", "/payonce/v1/cache",
     "Entries of the caller's scope, newest first; admin: of all. Query: key, scope, version, "
     "model, older_than, limit."},
    {"GET", "/payonce/v1/cache/entry", "One entry with its recorded answer. Query: key."},
    {"GET", "/payonce/v1/explain",
     "Why a request hit or missed, part by part, of the last 4,096. Query: id (the X-Payonce-Id of its answer)."},
    {"GET", "/payonce/v1/prefix",
     "Call sites of the prefix layer, and what of their system text stays, changes at times, or each time. Admin."},
    {"GET", "/payonce/v1/breakers",
     "What keeps live requests from sharing a prefix: kind, path, byte, count, price, fix. Admin."},
    {"GET", "/payonce/v1/savings",
     "The ledger: bought and saved by day, scope, model and layer; of the semantic layer's hits, how many are wrong. "
     "Query: days."},
    {"POST", "/payonce/v1/feedback",
     "Says that a semantic hit was wrong: JSON object with hit (its X-Payonce-Hit). It is not given again."},
    {"POST", "/payonce/v1/retrieval/invalidate",
     "Makes the result lists of a vector store void, after a write that went past the gateway: JSON object with "
     "store, "
     "and collection unless all."},
    {"POST", "/payonce/v1/cache/purge",
     "Removes entries: JSON object with key (exact, or prefix*), scope, version, model, "
     "older_than (seconds) or all: true."},
};

}  // namespace

std::span<const Endpoint> endpoint_table() { return kEndpoints; }

}  // namespace payonce::gateway
