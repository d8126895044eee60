#include "json.h"

#include <stdlib.h>
#include <string.h>

enum { kMaxDepth = 512 };

typedef struct {
  const char* at;
  const char* end;
} reader;

static void skip_space(reader* in) {
  while (in->at < in->end && (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r')) in->at++;
}

static int take(reader* in, char wanted) {
  if (in->at == in->end || *in->at != wanted) return -1;
  in->at++;
  return 0;
}

static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static int skip_string(reader* in) {
  if (take(in, '"') != 0) return -1;
  while (in->at < in->end) {
    const unsigned char c = (unsigned char)*in->at++;
    if (c == '"') return 0;
    if (c < 0x20) return -1;
    if (c != '\\') continue;
    if (in->at == in->end) return -1;
    const char escaped = *in->at++;
    if (escaped == 'u') {
      for (int i = 0; i < 4; i++, in->at++)
        if (in->at == in->end || hex_value(*in->at) < 0) return -1;
    } else if (strchr("\"\\/bfnrt", escaped) == NULL || escaped == '\0') {
      return -1;
    }
  }
  return -1;
}

static int digits(reader* in) {
  const char* begin = in->at;
  while (in->at < in->end && *in->at >= '0' && *in->at <= '9') in->at++;
  return in->at > begin ? 0 : -1;
}

static int skip_number(reader* in) {
  if (in->at < in->end && *in->at == '-') in->at++;
  if (in->at < in->end && *in->at == '0') {
    in->at++;
  } else if (digits(in) != 0) {
    return -1;
  }
  if (in->at < in->end && *in->at == '.') {
    in->at++;
    if (digits(in) != 0) return -1;
  }
  if (in->at < in->end && (*in->at == 'e' || *in->at == 'E')) {
    in->at++;
    if (in->at < in->end && (*in->at == '+' || *in->at == '-')) in->at++;
    if (digits(in) != 0) return -1;
  }
  return 0;
}

static int skip_word(reader* in, const char* word) {
  const size_t size = strlen(word);
  if ((size_t)(in->end - in->at) < size || memcmp(in->at, word, size) != 0) return -1;
  in->at += size;
  return 0;
}

static int skip_value(reader* in, int depth);

/* Elements of an array, or members of an object, whose bracket is already taken. */
static int skip_elements(reader* in, int depth, char close) {
  skip_space(in);
  if (take(in, close) == 0) return 0;
  for (;;) {
    skip_space(in);
    if (close == '}') {
      if (skip_string(in) != 0) return -1;
      skip_space(in);
      if (take(in, ':') != 0) return -1;
    }
    if (skip_value(in, depth + 1) != 0) return -1;
    skip_space(in);
    if (take(in, close) == 0) return 0;
    if (take(in, ',') != 0) return -1;
  }
}

static int skip_value(reader* in, int depth) {
  skip_space(in);
  if (in->at == in->end || depth > kMaxDepth) return -1;
  switch (*in->at) {
    case '{': in->at++; return skip_elements(in, depth, '}');
    case '[': in->at++; return skip_elements(in, depth, ']');
    case '"': return skip_string(in);
    case 't': return skip_word(in, "true");
    case 'f': return skip_word(in, "false");
    case 'n': return skip_word(in, "null");
    default: return skip_number(in);
  }
}

int pc_json_member(const char* text, size_t size, const char* name, pc_span* out) {
  const size_t name_size = strlen(name);
  reader in = {text, text + size};
  out->at = NULL;
  out->size = 0;
  skip_space(&in);
  if (take(&in, '{') != 0) return -1;
  skip_space(&in);
  if (take(&in, '}') != 0) {
    for (;;) {
      skip_space(&in);
      const char* key = in.at + 1;
      if (skip_string(&in) != 0) return -1;
      const size_t key_size = (size_t)(in.at - key) - 1;
      skip_space(&in);
      if (take(&in, ':') != 0) return -1;
      skip_space(&in);
      const char* begin = in.at;
      if (skip_value(&in, 1) != 0) return -1;
      if (key_size == name_size && memcmp(key, name, name_size) == 0) {
        out->at = begin;
        out->size = (size_t)(in.at - begin);
      }
      skip_space(&in);
      if (take(&in, '}') == 0) break;
      if (take(&in, ',') != 0) return -1;
    }
  }
  skip_space(&in);
  return in.at == in.end ? 0 : -1;
}

static unsigned four_hex(const char* at) {
  unsigned value = 0;
  for (int i = 0; i < 4; i++) value = value * 16 + (unsigned)hex_value(at[i]);
  return value;
}

static char* put_utf8(char* to, unsigned point) {
  if (point < 0x80) {
    *to++ = (char)point;
  } else if (point < 0x800) {
    *to++ = (char)(0xC0 | (point >> 6));
    *to++ = (char)(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    *to++ = (char)(0xE0 | (point >> 12));
    *to++ = (char)(0x80 | ((point >> 6) & 0x3F));
    *to++ = (char)(0x80 | (point & 0x3F));
  } else {
    *to++ = (char)(0xF0 | (point >> 18));
    *to++ = (char)(0x80 | ((point >> 12) & 0x3F));
    *to++ = (char)(0x80 | ((point >> 6) & 0x3F));
    *to++ = (char)(0x80 | (point & 0x3F));
  }
  return to;
}

/* The code point of a \u escape at `at`, which is moved behind it; 0: none that a text may hold. */
static unsigned escaped_point(const char** at, const char* end) {
  const unsigned high = four_hex(*at);
  *at += 4;
  if (high < 0xD800 || high > 0xDFFF) return high;
  if (high > 0xDBFF || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u') return 0;
  const unsigned low = four_hex(*at + 2);
  if (low < 0xDC00 || low > 0xDFFF) return 0;
  *at += 6;
  return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}

char* pc_json_text(pc_span value) {
  if (value.at == NULL) return NULL;
  reader check = {value.at, value.at + value.size};
  if (skip_string(&check) != 0 || check.at != check.end) return NULL;
  char* text = malloc(value.size); /* decoded text is never longer */
  if (text == NULL) return NULL;
  char* to = text;
  const char* end = value.at + value.size - 1;
  for (const char* at = value.at + 1; at < end;) {
    if (*at != '\\') {
      *to++ = *at++;
      continue;
    }
    const char escaped = at[1];
    at += 2;
    if (escaped == 'u') {
      const unsigned point = escaped_point(&at, end);
      if (point == 0) {
        free(text);
        return NULL;
      }
      to = put_utf8(to, point);
    } else {
      static const char kNames[] = "bfnrt", kMeant[] = "\b\f\n\r\t";
      const char* named = strchr(kNames, escaped);
      *to++ = named != NULL ? kMeant[named - kNames] : escaped;
    }
  }
  *to = '\0';
  return text;
}

int pc_json_append_string(pc_buffer* out, const char* text) {
  static const char kHex[] = "0123456789abcdef";
  if (pc_append(out, "\"", 1) != 0) return -1;
  for (; *text != '\0'; text++) {
    const unsigned char c = (unsigned char)*text;
    char escape[6] = {'\\', 'u', '0', '0', kHex[c >> 4], kHex[c & 15]};
    int failed;
    if (c < 0x20) {
      failed = pc_append(out, escape, 6);
    } else if (c == '"' || c == '\\') {
      escape[1] = (char)c;
      failed = pc_append(out, escape, 2);
    } else {
      failed = pc_append(out, text, 1);
    }
    if (failed != 0) return -1;
  }
  return pc_append(out, "\"", 1);
}
