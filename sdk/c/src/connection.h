/* One connection to the instance, and one call on it at a time, each within its deadline.
 * Threads: one at a time.  fork: a connection belongs to the process that opened it. */
#ifndef PAYONCE_CONNECTION_H
#define PAYONCE_CONNECTION_H

#include <stdint.h>
#include <sys/types.h>

#include "buffer.h"
#include "where.h"

typedef enum {
  PC_ANSWERED = 0,
  PC_NOBODY,    /* no connection: nobody listens */
  PC_GONE,      /* closed before a byte of the answer: an old connection, worth a new one */
  PC_LATE,      /* the deadline passed */
  PC_UNREADABLE /* the answer breaks its protocol */
} pc_outcome;

typedef struct {
  int fd;      /* -1: none */
  pid_t owner; /* the process that opened it */
  int is_http;
  int greeted;  /* the credential has been told (frames) */
  pc_buffer in; /* bytes of the answer that is being read */
} pc_connection;

typedef struct {
  char verb;        /* of the frame */
  const char* path; /* of HTTP */
  const char* body;
  size_t size;
} pc_call;

typedef struct {
  int is_error;     /* the instance says that the call is wrong, or that it cannot serve it */
  int http_code;    /* of an error; 0: not told */
  const char* body; /* inside the connection's buffer, until the next call */
  size_t size;
} pc_answer;

int64_t pc_now_ms(void); /* monotonic */

/* All return PC_ANSWERED, or what went wrong; then the connection is closed. */
pc_outcome pc_connect(pc_connection* to, const pc_where* where, int64_t deadline_ms);
pc_outcome pc_exchange(pc_connection* on, const pc_where* where, const pc_call* call, int64_t deadline_ms,
                       pc_answer* out);
void pc_disconnect(pc_connection* connection);

/* For the two protocols. */
pc_outcome pc_send(pc_connection* on, const char* bytes, size_t size, int64_t deadline_ms);
/* Reads at least one byte more into `in`. */
pc_outcome pc_receive(pc_connection* on, int64_t deadline_ms);
pc_outcome pc_frame_exchange(pc_connection* on, const pc_where* where, const pc_call* call, int64_t deadline_ms,
                             pc_answer* out);
pc_outcome pc_http_exchange(pc_connection* on, const pc_where* where, const pc_call* call, int64_t deadline_ms,
                            pc_answer* out, int* keep);

#endif
