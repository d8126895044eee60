// The endpoints of our own, as documentation and the router see them.
#include "gateway/admin.h"

namespace payonce::gateway {
namespace {

constexpr Endpoint kEndpoints[] = {
    {"GET", "/", "The dashboard; its files are below /dashboard/."},
    {"GET", "/healthz", "200 while the process works."},
    {"GET", "/readyz", "200 when a request would be served, else 503."},
    {"GET", "/metrics",
     "Prometheus metrics: to programs on this machine, where the instance listens on loopback, and to the admin "
     "(admin.metrics)."},
    {"GET", "/payonce/v1/stats",
     "Hits and misses by layer and reason, entries, bytes, tokens and money saved; the upstreams' loads and "
     "prefixes; "
     "blocks and tokens of an engine inside (JSON). To the admin, and to programs on this machine where admin.local "
     "lets them; to other callers what is of their own scope, of this day (UTC)."},
    {"GET", "/payonce/v1/cache",
     "Entries of the caller's scope, newest first; admin: of all. Query: key, scope, version, "
     "model, older_than, limit, after (the next of the page before)."},
    {"GET", "/payonce/v1/cache/entry", "One entry with its recorded answer. Query: key."},
    {"GET", "/payonce/v1/explain",
     "Why a request hit or missed, part by part, of the last 4,096. Query: id (the X-Payonce-Id of its answer). Or "
     "what an entry of the agent API rests on: id (e-…)."},
    {"GET", "/payonce/v1/prefix",
     "Call sites of the prefix layer, and what of their system text stays, changes at times, or each time. Admin."},
    {"GET", "/payonce/v1/breakers",
     "What keeps live requests from sharing a prefix: kind, path, byte, count, price, fix. Admin."},
    {"GET", "/payonce/v1/savings",
     "The ledger: bought and saved by day, scope, model and layer; of the semantic layer's hits, how many are wrong. "
     "Query: days."},
    {"GET", "/payonce/v1/requests",
     "Requests of the caller's scope that finished last, of 1,024; admin: of all. No text of them. Query: limit."},
    {"GET", "/payonce/v1/events",
     "The same as server-sent events, as they come; Last-Event-ID resumes. Admin: the sums of this minute as well."},
    {"GET", "/payonce/v1/last-hour", "The last sixty minutes, and how long Payonce itself took. Admin."},
    {"GET", "/payonce/v1/upstreams", "Upstreams: circuit breaker, requests in flight, time per token. Admin."},
    {"POST", "/payonce/v1/lookup",
     "Agent API: is there an entry for these parts? A hit, or a miss or a stale entry with a ticket to commit by."},
    {"POST", "/payonce/v1/commit", "Agent API: the outcome of a ticket, or of a run; only success is stored."},
    {"POST", "/payonce/v1/abort", "Agent API: drops a ticket, or all that a run has not published."},
    {"POST", "/payonce/v1/invalidate",
     "Agent API: removes the caller's entries by entry, version, scope, path or kind."},
    {"POST", "/payonce/v1/hint", "Agent API: what is known of a session's future; advice only."},
    {"POST", "/payonce/v1/session",
     "With a credential: whether it is the admin's. Without, to the dashboard of an instance on loopback, opened on "
     "the same machine: a token for it."},
    {"POST", "/payonce/v1/feedback",
     "Says that a semantic hit was wrong: JSON object with hit (its X-Payonce-Hit), or that an entry of the agent "
     "API "
     "was: entry. It is not given again."},
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
