/* Frames over the Unix socket: a verb, four bytes of big-endian length, a JSON body; answers come in order. */
#include <string.h>

#include "connection.h"
#include "json.h"

enum { kHead = 5 };

static int append_frame(pc_buffer* out, char verb, const char* body, size_t size) {
  const char head[kHead] = {verb, (char)(size >> 24 & 0xFF), (char)(size >> 16 & 0xFF), (char)(size >> 8 & 0xFF),
                            (char)(size & 0xFF)};
  return pc_append(out, head, kHead) != 0 || pc_append(out, body, size) != 0 ? -1 : 0;
}

/* The credential's frame goes in front of the first call of a connection. */
static int append_greeting(pc_buffer* out, const char* credential) {
  pc_buffer body = {NULL, 0, 0};
  const int failed = pc_append_text(&body, "{\"credential\":") != 0 ||
                     pc_json_append_string(&body, credential) != 0 || pc_append_text(&body, "}") != 0 ||
                     append_frame(out, 'K', body.data, body.size) != 0;
  pc_free(&body);
  return failed ? -1 : 0;
}

/* The frame that begins at `begin` of the buffer, read as far as it is not there yet. */
static pc_outcome read_frame(pc_connection* on, size_t begin, int64_t deadline_ms, char* verb, size_t* size) {
  *size = 0;
  int has_head = 0;
  while (!has_head || on->in.size - begin - kHead < *size) {
    if (!has_head && on->in.size - begin >= kHead) {
      const unsigned char* head = (const unsigned char*)on->in.data + begin;
      *verb = (char)head[0];
      *size = (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | (size_t)head[4];
      if (*size > PC_MAX_BODY) return PC_UNREADABLE;
      has_head = 1;
      continue;
    }
    const pc_outcome outcome = pc_receive(on, deadline_ms);
    if (outcome != PC_ANSWERED) return outcome;
  }
  return PC_ANSWERED;
}

pc_outcome pc_frame_exchange(pc_connection* on, const pc_where* where, const pc_call* call, int64_t deadline_ms,
                             pc_answer* out) {
  const int greets = where->credential != NULL && !on->greeted;
  pc_buffer bytes = {NULL, 0, 0};
  const int failed = (greets && append_greeting(&bytes, where->credential) != 0) ||
                     append_frame(&bytes, call->verb, call->body, call->size) != 0;
  pc_outcome outcome = failed ? PC_UNREADABLE : pc_send(on, bytes.data, bytes.size, deadline_ms);
  pc_free(&bytes);
  if (outcome != PC_ANSWERED) return outcome;

  char verb = 0;
  size_t begin = 0, size = 0;
  if (greets) {
    outcome = read_frame(on, 0, deadline_ms, &verb, &size);
    if (outcome != PC_ANSWERED) return outcome;
    /* Without the credential the call would be nobody's, and its answer another's. */
    if (verb != 'K') return PC_UNREADABLE;
    on->greeted = 1;
    begin = kHead + size;
  }
  outcome = read_frame(on, begin, deadline_ms, &verb, &size);
  if (outcome != PC_ANSWERED) return outcome;
  if ((verb != call->verb && verb != 'X') || on->in.size != begin + kHead + size) return PC_UNREADABLE;
  out->is_error = verb == 'X';
  out->http_code = 0;
  out->body = on->in.data + begin + kHead;
  out->size = size;
  return PC_ANSWERED;
}
