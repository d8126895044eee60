#include "buffer.h"

#include <stdlib.h>
#include <string.h>

/* A head of HTTP stands beside the body. */
static const size_t kMost = PC_MAX_BODY + (1 << 17);

char* pc_reserve(pc_buffer* buffer, size_t more) {
  if (more > kMost || buffer->size > kMost - more) return NULL;
  if (buffer->capacity - buffer->size < more) {
    size_t wanted = buffer->capacity < 4096 ? 4096 : 2 * buffer->capacity;
    if (wanted < buffer->size + more) wanted = buffer->size + more;
    char* grown = realloc(buffer->data, wanted);
    if (grown == NULL) return NULL;
    buffer->data = grown;
    buffer->capacity = wanted;
  }
  return buffer->data + buffer->size;
}

int pc_append(pc_buffer* buffer, const void* bytes, size_t size) {
  char* to = pc_reserve(buffer, size);
  if (to == NULL) return -1;
  if (size > 0) memcpy(to, bytes, size);
  buffer->size += size;
  return 0;
}

int pc_append_text(pc_buffer* buffer, const char* text) { return pc_append(buffer, text, strlen(text)); }

void pc_free(pc_buffer* buffer) {
  free(buffer->data);
  buffer->data = NULL;
  buffer->size = buffer->capacity = 0;
}

char* pc_copy(const char* bytes, size_t size) {
  char* copy = malloc(size + 1);
  if (copy == NULL) return NULL;
  if (size > 0) memcpy(copy, bytes, size);
  copy[size] = '\0';
  return copy;
}
