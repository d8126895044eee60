/* Bytes that grow up to the protocol's largest body.  Threads: one at a time. */
#ifndef PAYONCE_BUFFER_H
#define PAYONCE_BUFFER_H

#include <stddef.h>

#define PC_MAX_BODY ((size_t)64 << 20) /* bytes of a frame's or an HTTP message's body */

typedef struct {
  char* data; /* NULL: empty */
  size_t size;
  size_t capacity;
} pc_buffer;

/* Room for `more` bytes behind the size; NULL: memory is out, or the limit passed. */
char* pc_reserve(pc_buffer* buffer, size_t more);
/* 0, or -1 when it does not fit. */
int pc_append(pc_buffer* buffer, const void* bytes, size_t size);
int pc_append_text(pc_buffer* buffer, const char* text);
void pc_free(pc_buffer* buffer);

/* A NUL-terminated copy, the caller's; NULL: memory is out. */
char* pc_copy(const char* bytes, size_t size);

#endif
