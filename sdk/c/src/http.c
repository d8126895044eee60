/* HTTP/1.1 as far as one instance speaks it: POST with a length; an answer with a length, or in chunks. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "connection.h"

enum { kMaxHead = 64 * 1024 };

typedef struct {
  int code;
  int chunked;
  int has_length;
  size_t length;
  int closes;
} http_head;

static int append_request(pc_buffer* out, const pc_where* where, const pc_call* call) {
  const int is_get = call->verb == 'S';
  char text[256];
  (void)snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: %s\r\n", is_get ? "GET" : "POST", call->path,
                 where->host);
  if (pc_append_text(out, text) != 0) return -1;
  if (where->credential != NULL && (pc_append_text(out, "Authorization: Bearer ") != 0 ||
                                    pc_append_text(out, where->credential) != 0 || pc_append_text(out, "\r\n") != 0))
    return -1;
  if (is_get) return pc_append_text(out, "\r\n");
  (void)snprintf(text, sizeof text, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n", call->size);
  return pc_append_text(out, text) != 0 || pc_append(out, call->body, call->size) != 0 ? -1 : 0;
}

static int read_number(const char* at, const char* end, size_t base, size_t* out) {
  if (at == end) return -1;
  *out = 0;
  for (; at < end; at++) {
    size_t digit;
    if (*at >= '0' && *at <= '9') {
      digit = (size_t)(*at - '0');
    } else if (base == 16 && ((*at | 0x20) >= 'a' && (*at | 0x20) <= 'f')) {
      digit = (size_t)((*at | 0x20) - 'a') + 10;
    } else {
      return -1;
    }
    *out = *out * base + digit;
    if (*out > PC_MAX_BODY) return -1;
  }
  return 0;
}

static int field_is(const char* line, const char* colon, const char* name) {
  return (size_t)(colon - line) == strlen(name) && strncasecmp(line, name, strlen(name)) == 0;
}

static int read_field(const char* line, const char* end, http_head* out) {
  const char* colon = memchr(line, ':', (size_t)(end - line));
  if (colon == NULL || colon == line) return -1;
  const char* value = colon + 1;
  while (value < end && (*value == ' ' || *value == '\t')) value++;
  while (end > value && (end[-1] == ' ' || end[-1] == '\t')) end--;
  if (field_is(line, colon, "content-length")) {
    if (out->has_length || read_number(value, end, 10, &out->length) != 0) return -1;
    out->has_length = 1;
  } else if (field_is(line, colon, "transfer-encoding")) {
    if (end - value != 7 || strncasecmp(value, "chunked", 7) != 0) return -1;
    out->chunked = 1;
  } else if (field_is(line, colon, "connection")) {
    out->closes = end - value == 5 && strncasecmp(value, "close", 5) == 0;
  }
  return 0;
}

/* "HTTP/1.1 200 OK\r\n" and the fields, which end with an empty line. */
static int read_head(const char* at, const char* end, http_head* out) {
  memset(out, 0, sizeof *out);
  if (end - at < 14 || memcmp(at, "HTTP/1.", 7) != 0 || at[8] != ' ') return -1;
  size_t code;
  if (read_number(at + 9, at + 12, 10, &code) != 0 || (at[12] != ' ' && at[12] != '\r')) return -1;
  out->code = (int)code;
  out->closes = at[7] == '0';
  const char* line = (const char*)memchr(at, '\n', (size_t)(end - at)) + 1;
  while (line < end) {
    const char* stop = memchr(line, '\n', (size_t)(end - line));
    if (stop == NULL || stop == line || stop[-1] != '\r') return -1;
    if (stop - 1 == line) return out->chunked && out->has_length ? -1 : 0;
    if (read_field(line, stop - 1, out) != 0) return -1;
    line = stop + 1;
  }
  return -1;
}

/* The offset behind "\r\n\r\n" from `begin` on. */
static pc_outcome find_head_end(pc_connection* on, size_t begin, int64_t deadline_ms, size_t* end) {
  size_t searched = begin;
  for (;;) {
    for (size_t at = searched; at + 4 <= on->in.size; at++) {
      if (memcmp(on->in.data + at, "\r\n\r\n", 4) == 0) {
        *end = at + 4;
        return PC_ANSWERED;
      }
    }
    if (on->in.size - begin > kMaxHead) return PC_UNREADABLE;
    searched = on->in.size < begin + 3 ? begin : on->in.size - 3;
    const pc_outcome outcome = pc_receive(on, deadline_ms);
    if (outcome != PC_ANSWERED) return outcome;
  }
}

static pc_outcome read_until_size(pc_connection* on, size_t size, int64_t deadline_ms) {
  while (on->in.size < size) {
    const pc_outcome outcome = pc_receive(on, deadline_ms);
    if (outcome != PC_ANSWERED) return outcome == PC_GONE ? PC_UNREADABLE : outcome;
  }
  return PC_ANSWERED;
}

/* The length line of the chunk at `at`: its value, and the offset behind it. */
static pc_outcome read_chunk_head(pc_connection* on, size_t at, int64_t deadline_ms, size_t* size, size_t* begin) {
  enum { kMaxLine = 256 };
  const char* newline;
  while ((newline = memchr(on->in.data + at, '\n', on->in.size - at)) == NULL) {
    if (on->in.size - at > kMaxLine) return PC_UNREADABLE;
    const pc_outcome outcome = read_until_size(on, on->in.size + 1, deadline_ms);
    if (outcome != PC_ANSWERED) return outcome;
  }
  const char* line = on->in.data + at;
  const char* end = newline > line && newline[-1] == '\r' ? newline - 1 : newline;
  const char* extension = memchr(line, ';', (size_t)(end - line));
  *begin = (size_t)(newline - on->in.data) + 1;
  return read_number(line, extension != NULL ? extension : end, 16, size) == 0 ? PC_ANSWERED : PC_UNREADABLE;
}

/* Chunks from `begin` on are moved together there. */
static pc_outcome read_chunks(pc_connection* on, size_t begin, int64_t deadline_ms, size_t* size) {
  size_t at = begin, chunk = 0, data = 0;
  *size = 0;
  for (;;) {
    pc_outcome outcome = read_chunk_head(on, at, deadline_ms, &chunk, &data);
    if (outcome == PC_ANSWERED) outcome = read_until_size(on, data + chunk + 2, deadline_ms);
    if (outcome != PC_ANSWERED) return outcome;
    if (memcmp(on->in.data + data + chunk, "\r\n", 2) != 0 || *size + chunk > PC_MAX_BODY) return PC_UNREADABLE;
    if (chunk == 0) return PC_ANSWERED;
    memmove(on->in.data + begin + *size, on->in.data + data, chunk);
    *size += chunk;
    at = data + chunk + 2;
  }
}

pc_outcome pc_http_exchange(pc_connection* on, const pc_where* where, const pc_call* call, int64_t deadline_ms,
                            pc_answer* out, int* keep) {
  pc_buffer bytes = {NULL, 0, 0};
  pc_outcome outcome =
      append_request(&bytes, where, call) != 0 ? PC_UNREADABLE : pc_send(on, bytes.data, bytes.size, deadline_ms);
  pc_free(&bytes);
  http_head head;
  size_t begin = 0, body = 0, size = 0;
  do { /* an interim answer (1xx) has a head alone */
    begin = body;
    if (outcome == PC_ANSWERED) outcome = find_head_end(on, begin, deadline_ms, &body);
    if (outcome != PC_ANSWERED) return outcome;
    if (read_head(on->in.data + begin, on->in.data + body, &head) != 0) return PC_UNREADABLE;
  } while (head.code < 200 && body < kMaxHead);
  if (head.chunked) {
    outcome = read_chunks(on, body, deadline_ms, &size);
  } else if (head.has_length) {
    size = head.length;
    outcome = read_until_size(on, body + size, deadline_ms);
  } else {
    outcome = PC_UNREADABLE; /* until the end: could be cut without a sign */
  }
  if (outcome != PC_ANSWERED) return outcome;
  *keep = !head.closes && (head.chunked || on->in.size == body + size);
  out->is_error = head.code != 200;
  out->http_code = head.code;
  out->body = on->in.data + body;
  out->size = size;
  return PC_ANSWERED;
}
