/* As much JSON as a client needs: one member of an object, as the bytes that it has there.  Threads: pure functions.
 */
#ifndef PAYONCE_JSON_H
#define PAYONCE_JSON_H

#include <stddef.h>

#include "buffer.h"

typedef struct {
  const char* at; /* into the text; NULL: no such member */
  size_t size;
} pc_span;

/* The value of the last member `name` of the object that `text` is. The whole text is checked: 0, or -1 when it is no
 * object, no JSON, or nested deeper than 512. Names are compared as they are spelled, without escapes. */
int pc_json_member(const char* text, size_t size, const char* name, pc_span* out);

/* A string value as text, the caller's; NULL when it is no string, holds U+0000 or half a surrogate pair, or memory
 * is out. */
char* pc_json_text(pc_span value);

/* Appends `text` as a JSON string; 0, or -1 when it does not fit. */
int pc_json_append_string(pc_buffer* out, const char* text);

#endif
