/* The public calls: which connection a call goes over, and what becomes of it when nobody answers.
 *
 * Connections stand in slots. A slot belongs to the process whose id stands in `holder`, or to nobody (0), and is
 * taken by one atomic exchange, so there is no lock that a fork could leave locked. After a fork the child finds
 * slots that its parent held; it takes them over and only closes what is in them. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json.h"
#include "result.h"

enum {
  kSlots = 8, /* more calls at once open connections that are closed after one call */
  kCallMs = 1000,
  kRetryMs = 1000,
  kMaxWaitMs = 60000,   /* as the instance bounds a lookup's "wait" */
  kLateInARow = 3,      /* then it is taken for hanging, and left alone for a while */
  kKeptBuffer = 1 << 20 /* bytes that a connection may keep between calls */
};

typedef struct {
  pid_t holder; /* 0: nobody */
  pc_connection connection;
} slot;

struct payonce_client {
  pc_where where;
  int64_t call_ms, retry_ms;
  int64_t retry_at_ms; /* atomic: nothing is tried before */
  int late_in_a_row;   /* atomic */
  slot slots[kSlots];
};

static int64_t or_default(int value, int fallback) { return value > 0 ? value : fallback; }

payonce_client* payonce_open(const payonce_options* options) {
  static const payonce_options kFromEnvironment = {NULL, NULL, NULL, 0, 0, 0};
  if (options == NULL) options = &kFromEnvironment;
  payonce_client* client = calloc(1, sizeof *client);
  if (client == NULL) return NULL;
  if (pc_find_where(options, &client->where) != 0) {
    free(client);
    return NULL;
  }
  client->call_ms = or_default(options->call_ms, kCallMs);
  client->retry_ms = or_default(options->retry_ms, kRetryMs);
  for (int i = 0; i < kSlots; i++) client->slots[i].connection.fd = -1;
  return client;
}

void payonce_close(payonce_client* client) {
  if (client == NULL) return;
  for (int i = 0; i < kSlots; i++) pc_disconnect(&client->slots[i].connection);
  pc_forget_where(&client->where);
  free(client);
}

/* A slot that is now this thread's; NULL: all are in use. */
static slot* take_slot(payonce_client* client) {
  const pid_t self = getpid();
  for (int i = 0; i < kSlots; i++) {
    slot* at = &client->slots[i];
    pid_t holder = __atomic_load_n(&at->holder, __ATOMIC_RELAXED);
    if (holder == self) continue;
    const int is_left_over = holder != 0;
    if (!__atomic_compare_exchange_n(&at->holder, &holder, self, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) continue;
    pc_connection* connection = &at->connection;
    if (is_left_over) {
      /* A thread of the parent was in the middle of a call: its buffer may be half moved, so it is left alone. */
      connection->in.data = NULL;
      connection->in.size = connection->in.capacity = 0;
    }
    if (connection->fd >= 0 && (is_left_over || connection->owner != self)) pc_disconnect(connection);
    return at;
  }
  return NULL;
}

static void give_back(slot* taken) {
  if (taken->connection.in.capacity > kKeptBuffer) pc_free(&taken->connection.in);
  __atomic_store_n(&taken->holder, 0, __ATOMIC_RELEASE);
}

/* One call over one connection; an old connection that turns out to be closed is replaced once. */
static pc_outcome call_over(payonce_client* client, pc_connection* connection, const pc_call* call,
                            int64_t deadline_ms, pc_answer* answer) {
  for (;;) {
    const int is_new = connection->fd < 0;
    pc_outcome outcome = is_new ? pc_connect(connection, &client->where, deadline_ms) : PC_ANSWERED;
    if (outcome == PC_ANSWERED) outcome = pc_exchange(connection, &client->where, call, deadline_ms, answer);
    if (outcome != PC_GONE || is_new) return outcome;
  }
}

static void remember(payonce_client* client, pc_outcome outcome) {
  const int late = outcome == PC_LATE ? __atomic_add_fetch(&client->late_in_a_row, 1, __ATOMIC_RELAXED) : 0;
  if (late == 0) __atomic_store_n(&client->late_in_a_row, 0, __ATOMIC_RELAXED);
  if (outcome == PC_NOBODY || late >= kLateInARow)
    __atomic_store_n(&client->retry_at_ms, pc_now_ms() + client->retry_ms, __ATOMIC_RELAXED);
}

static const char* told(pc_outcome outcome) {
  switch (outcome) {
    case PC_NOBODY: return "no Payonce answers there: start one with `payonce serve`";
    case PC_LATE: return "no answer in time";
    case PC_GONE: return "the connection was closed before an answer";
    default: return "the answer breaks the protocol, or is larger than 64 MiB";
  }
}

static payonce_result* make_call(payonce_client* client, char verb, const char* path, const char* body,
                                 int64_t bound_ms) {
  if (client == NULL) return pc_unavailable("there is no client");
  if (client->where.wrong != NULL) return pc_unavailable(client->where.wrong);
  const int64_t now = pc_now_ms();
  if (now < __atomic_load_n(&client->retry_at_ms, __ATOMIC_RELAXED))
    return pc_unavailable("no Payonce answered there a moment ago");
  const pc_call call = {verb, path, body, strlen(body)};
  if (call.size > PC_MAX_BODY) return pc_unavailable("the call is larger than 64 MiB");

  slot* taken = take_slot(client);
  pc_connection extra = {-1, 0, 0, 0, {NULL, 0, 0}};
  pc_connection* connection = taken != NULL ? &taken->connection : &extra;
  pc_answer answer;
  const pc_outcome outcome = call_over(client, connection, &call, now + bound_ms, &answer);
  remember(client, outcome);
  payonce_result* result = outcome == PC_ANSWERED ? pc_read_answer(verb, &answer) : pc_unavailable(told(outcome));
  if (taken != NULL) {
    give_back(taken);
  } else {
    pc_disconnect(&extra);
  }
  return result;
}

/* How long the instance may wait for another's commit, as the lookup asks. */
static int64_t wait_ms(const char* request_json) {
  pc_span wait;
  if (strstr(request_json, "\"wait\"") == NULL) return 0;
  if (pc_json_member(request_json, strlen(request_json), "wait", &wait) != 0 || wait.at == NULL) return 0;
  const double seconds = strtod(wait.at, NULL);
  return seconds > 0 && seconds < kMaxWaitMs / 1000.0 ? (int64_t)(seconds * 1000) : seconds > 0 ? kMaxWaitMs : 0;
}

payonce_result* payonce_lookup(payonce_client* client, const char* request_json) {
  const int64_t bound = client == NULL ? 0 : client->where.lookup_ms + wait_ms(request_json);
  return make_call(client, 'L', "/payonce/v1/lookup", request_json, bound);
}

static payonce_result* other_call(payonce_client* client, char verb, const char* path, const char* body) {
  return make_call(client, verb, path, body, client == NULL ? 0 : client->call_ms);
}

payonce_result* payonce_commit(payonce_client* client, const char* request_json) {
  return other_call(client, 'C', "/payonce/v1/commit", request_json);
}

payonce_result* payonce_commit_value(payonce_client* client, const char* ticket, const char* value_json) {
  pc_buffer body = {NULL, 0, 0};
  const int failed = pc_append_text(&body, "{\"ticket\":") != 0 || pc_json_append_string(&body, ticket) != 0 ||
                     pc_append_text(&body, ",\"outcome\":\"success\",\"value\":") != 0 ||
                     pc_append_text(&body, value_json) != 0 || pc_append(&body, "}", 2) != 0;
  payonce_result* result = failed ? pc_unavailable("the value is larger than 64 MiB, or memory is out")
                                  : payonce_commit(client, body.data);
  pc_free(&body);
  return result;
}

payonce_result* payonce_abort(payonce_client* client, const char* request_json) {
  return other_call(client, 'A', "/payonce/v1/abort", request_json);
}

payonce_result* payonce_invalidate(payonce_client* client, const char* request_json) {
  return other_call(client, 'I', "/payonce/v1/invalidate", request_json);
}

payonce_result* payonce_hint(payonce_client* client, const char* request_json) {
  return other_call(client, 'H', "/payonce/v1/hint", request_json);
}

payonce_result* payonce_stats(payonce_client* client) { return other_call(client, 'S', "/payonce/v1/stats", "{}"); }
