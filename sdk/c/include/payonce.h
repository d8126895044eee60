/* Payonce's agent API for C and C++: what an agent computed once, it need not compute again.
 *
 *   payonce_client* cache = payonce_open(NULL);                       // from the environment
 *   payonce_result* found = payonce_lookup(cache, "{\"kind\":\"plan\",\"parts\":{\"task\":\"…\"}}");
 *   if (payonce_result_status(found) == PAYONCE_HIT) use(payonce_result_value(found));
 *   else if (payonce_result_ticket(found)) {
 *     char* plan = compute();                                         // as JSON
 *     payonce_result_free(payonce_commit_value(cache, payonce_result_ticket(found), plan));
 *   }
 *   payonce_result_free(found);
 *   payonce_close(cache);
 *
 * Text: everything is NUL-terminated UTF-8; a "…_json" is one JSON value. What a body may hold, and what comes back,
 *   is in docs/agents/api.md; these functions carry it and read `status`, `value`, `ticket` and `key` out of it.
 * Ownership: what a function returns as payonce_result* is the caller's, who gives it to payonce_result_free(). The
 *   text that an accessor returns belongs to its result and lives as long. Arguments are read during the call only.
 * Threads: a client may be used by any number of threads at once, each call on a connection of its own; a result by
 *   one at a time. payonce_close() comes after every other call has returned.
 * fork(): parent and child may both go on with the same client; the child opens connections of its own.
 * Errors: nothing here ends the program, raises a signal or sets a handler. With no instance there, or none that
 *   answers in time, a result is PAYONCE_UNAVAILABLE, which means the same as a miss without a ticket: compute, and
 *   go on. After a connection was refused no new one is tried for `retry_ms`, so that such a call costs microseconds.
 * Every function takes NULL for a client or a result: as if the instance were unavailable.
 */
#ifndef PAYONCE_H
#define PAYONCE_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PAYONCE_API __attribute__((visibility("default")))
#else
#define PAYONCE_API
#endif

typedef struct payonce_client payonce_client;
typedef struct payonce_result payonce_result;

typedef enum payonce_status {
  PAYONCE_HIT = 0,        /* of a lookup: there is a value */
  PAYONCE_MISS = 1,       /* of a lookup: there is none; a ticket to commit one with, unless another has it already */
  PAYONCE_STALE = 2,      /* of a lookup: there was one, but a dependency has changed; a ticket as for a miss */
  PAYONCE_OK = 3,         /* of any other call: done; what was done stands in payonce_result_json() */
  PAYONCE_DROPPED = 4,    /* of a commit: the instance did not store it, "reason" in payonce_result_json() says why */
  PAYONCE_ERROR = 5,      /* the instance refuses the call, which is wrong: payonce_result_error() says what */
  PAYONCE_UNAVAILABLE = 6 /* no instance, no answer in time, or none that can be read */
} payonce_status;

/* Zero means the default everywhere, so `payonce_options options = {0};` is a good start. */
typedef struct payonce_options {
  const char* url;    /* "http://127.0.0.1:4141"; NULL: $PAYONCE_URL, else that one. Loopback addresses only */
  const char* socket; /* path of the instance's Unix socket; NULL: $PAYONCE_SOCKET, else the one that belongs to
                         the URL's port where there is one, else HTTP. "" : HTTP */
  const char*
      credential; /* whose entries they are; NULL: $PAYONCE_API_KEY; "": nobody's, shared by all without one */
  int lookup_ms;  /* bound of a lookup, beside the "wait" of its body; 0: $PAYONCE_TIMEOUT_MS, else 50 */
  int call_ms;    /* bound of every other call; default 1000 */
  int retry_ms;   /* how long nothing is tried after a refused connection; default 1000 */
} payonce_options;

/* Opens no connection yet. NULL `options`: all from the environment. Returns NULL only when memory is out. A setting
 * that is wrong (an address that is not loopback, a $PAYONCE_TIMEOUT_MS that is no positive number) makes every call
 * PAYONCE_UNAVAILABLE, and its error says so. */
PAYONCE_API payonce_client* payonce_open(const payonce_options* options);
PAYONCE_API void payonce_close(payonce_client* client);

/* POST /payonce/v1/lookup: {"kind", "parts", "versions"?, "scope"?, "deps"?, "run"?, "max_age"?, "wait"?, …}. */
PAYONCE_API payonce_result* payonce_lookup(payonce_client* client, const char* request_json);
/* {"ticket", "value", "outcome", "deps"?, "ttl"?, …}, or {"run", "outcome"}. */
PAYONCE_API payonce_result* payonce_commit(payonce_client* client, const char* request_json);
/* The usual commit: this value, which is JSON, was computed successfully. */
PAYONCE_API payonce_result* payonce_commit_value(payonce_client* client, const char* ticket, const char* value_json);
/* {"ticket"} or {"run"}: nothing will come. */
PAYONCE_API payonce_result* payonce_abort(payonce_client* client, const char* request_json);
/* Exactly one of {"entry"}, {"version"}, {"scope"}, {"path"}, {"kind"}. */
PAYONCE_API payonce_result* payonce_invalidate(payonce_client* client, const char* request_json);
/* {"session", "event": "open"|"turn"|"waiting"|"end", …}: advice. */
PAYONCE_API payonce_result* payonce_hint(payonce_client* client, const char* request_json);
PAYONCE_API payonce_result* payonce_stats(payonce_client* client);

PAYONCE_API payonce_status payonce_result_status(const payonce_result* result);
/* The value of a hit as JSON, equal to what was committed; else NULL. */
PAYONCE_API const char* payonce_result_value(const payonce_result* result);
/* What to commit with, after a miss or a stale; else NULL. It expires (after 900 s by default). */
PAYONCE_API const char* payonce_result_ticket(const payonce_result* result);
/* "plan:v1:u-…:9c41…", of lookups and commits; else NULL. */
PAYONCE_API const char* payonce_result_key(const payonce_result* result);
/* The whole answer as it came; NULL when none came. */
PAYONCE_API const char* payonce_result_json(const payonce_result* result);
/* Why a result is PAYONCE_ERROR or PAYONCE_UNAVAILABLE, for people; NULL for all others. */
PAYONCE_API const char* payonce_result_error(const payonce_result* result);
PAYONCE_API void payonce_result_free(payonce_result* result);

/* "hit", "miss", … */
PAYONCE_API const char* payonce_status_name(payonce_status status);

#ifdef __cplusplus
}
#endif
#endif
