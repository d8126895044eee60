#include "where.h"

#include <arpa/inet.h>
#include <float.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buffer.h"

enum { kLookupMs = 50, kLongestMs = 86400000 };
static const char kDefaultUrl[] = "http://127.0.0.1:4141";

/* The option, else the variable, else NULL. */
static const char* setting(const char* option, const char* variable) {
  if (option != NULL) return option;
  const char* value = getenv(variable);
  return value != NULL && *value != '\0' ? value : NULL;
}

static int read_port(const char* text, size_t size, uint16_t* out) {
  unsigned long port = 0;
  if (size == 0 || size > 5) return -1;
  for (size_t i = 0; i < size; i++) {
    if (text[i] < '0' || text[i] > '9') return -1;
    port = port * 10 + (unsigned long)(text[i] - '0');
  }
  if (port == 0 || port > 65535) return -1;
  *out = (uint16_t)port;
  return 0;
}

static int set_ipv4(pc_where* out, const char* host, uint16_t port) {
  struct sockaddr_in* address = (struct sockaddr_in*)&out->http;
  if (inet_pton(AF_INET, host, &address->sin_addr) != 1) return -1;
  if (ntohl(address->sin_addr.s_addr) >> 24 != 127) return -1;
  address->sin_family = AF_INET;
  address->sin_port = htons(port);
  out->http_size = sizeof *address;
  return 0;
}

static int set_ipv6(pc_where* out, const char* host, uint16_t port) {
  struct sockaddr_in6* address = (struct sockaddr_in6*)&out->http;
  if (inet_pton(AF_INET6, host, &address->sin6_addr) != 1) return -1;
  if (!IN6_IS_ADDR_LOOPBACK(&address->sin6_addr)) return -1;
  address->sin6_family = AF_INET6;
  address->sin6_port = htons(port);
  out->http_size = sizeof *address;
  return 0;
}

/* No name is looked up, which could take seconds: localhost is 127.0.0.1. */
static const char* read_url(const char* url, pc_where* out, uint16_t* port) {
  static const char kScheme[] = "http://";
  if (strncmp(url, kScheme, sizeof kScheme - 1) != 0)
    return "PAYONCE_URL must be http://HOST:PORT, with a loopback address";
  const char* host = url + sizeof kScheme - 1;
  const size_t authority = strcspn(host, "/?#");
  const char* rest = host + authority;
  if (*rest == '/') rest++;
  if (*rest != '\0') return "PAYONCE_URL must end after its port";
  if (authority >= sizeof out->host) return "PAYONCE_URL's host is too long for a loopback address";
  memcpy(out->host, host, authority);
  out->host[authority] = '\0';

  char name[sizeof out->host];
  const int bracketed = *host == '[';
  const char* name_end = bracketed ? strchr(out->host, ']') : strchr(out->host, ':');
  if (bracketed && name_end == NULL) return "PAYONCE_URL lacks a ']'";
  const size_t name_size = name_end != NULL ? (size_t)(name_end - out->host) - (size_t)bracketed : authority;
  memcpy(name, out->host + bracketed, name_size);
  name[name_size] = '\0';
  const char* colon = name_end == NULL ? NULL : name_end + bracketed;
  *port = 80;
  if (colon != NULL && *colon != '\0' && (*colon != ':' || read_port(colon + 1, strlen(colon + 1), port) != 0))
    return "PAYONCE_URL's port is no number from 1 to 65535";
  const int failed = bracketed                        ? set_ipv6(out, name, *port)
                     : strcmp(name, "localhost") == 0 ? set_ipv4(out, "127.0.0.1", *port)
                                                      : set_ipv4(out, name, *port);
  return failed ? "PAYONCE_URL is not a loopback address (127.0.0.1, localhost, [::1]): run an instance on this host"
                : NULL;
}

static const char* find_socket(const payonce_options* options, uint16_t port, pc_where* out) {
  const char* named = setting(options->socket, "PAYONCE_SOCKET");
  int size;
  if (named != NULL) {
    out->socket_is_named = *named != '\0';
    size = snprintf(out->socket_path, sizeof out->socket_path, "%s", named);
  } else {
    const char* runtime = setting(NULL, "XDG_RUNTIME_DIR");
    size = runtime != NULL
               ? snprintf(out->socket_path, sizeof out->socket_path, "%s/payonce/%u.sock", runtime, (unsigned)port)
               : snprintf(out->socket_path, sizeof out->socket_path, "/tmp/payonce-%lu/%u.sock",
                          (unsigned long)getuid(), (unsigned)port);
  }
  if (size >= 0 && (size_t)size < sizeof out->socket_path) return NULL;
  out->socket_path[0] = '\0';
  return named != NULL ? "PAYONCE_SOCKET is longer than a path of a Unix socket may be" : NULL;
}

static const char* find_credential(const payonce_options* options, pc_where* out, int* memory_is_out) {
  const char* credential = setting(options->credential, "PAYONCE_API_KEY");
  if (credential == NULL || *credential == '\0') return NULL;
  for (const char* c = credential; *c != '\0'; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7F) return "PAYONCE_API_KEY holds a control character";
  out->credential = pc_copy(credential, strlen(credential));
  *memory_is_out = out->credential == NULL;
  return NULL;
}

/* Digits, with a fraction or without, as all clients of Payonce read it (strtod's point is the locale's); else 0. */
static double read_decimal(const char* text) {
  double value = 0, place = 1;
  const char* at = text;
  for (; *at >= '0' && *at <= '9'; at++) value = value * 10 + (*at - '0');
  if (at == text) return 0;
  if (*at == '.') {
    const char* fraction = ++at;
    for (; *at >= '0' && *at <= '9'; at++) value += (*at - '0') * (place /= 10);
    if (at == fraction) return 0;
  }
  return *at == '\0' ? value : 0;
}

/* An option that is not above 0 is none. */
static const char* find_lookup_ms(const payonce_options* options, pc_where* out) {
  out->lookup_ms = options->lookup_ms > 0 ? options->lookup_ms : kLookupMs;
  const char* told = options->lookup_ms > 0 ? NULL : setting(NULL, "PAYONCE_TIMEOUT_MS");
  if (told == NULL) return NULL;
  const double ms = read_decimal(told);
  if (!(ms > 0 && ms <= DBL_MAX)) return "PAYONCE_TIMEOUT_MS is no positive number of milliseconds, such as 200";
  out->lookup_ms = ms < kLongestMs ? (int64_t)ms : kLongestMs;
  if ((double)out->lookup_ms < ms && out->lookup_ms < kLongestMs) out->lookup_ms++; /* never 0 */
  return NULL;
}

int pc_find_where(const payonce_options* options, pc_where* out) {
  memset(out, 0, sizeof *out);
  int memory_is_out = 0;
  uint16_t port = 0;
  const char* url = setting(options->url, "PAYONCE_URL");
  const char* url_is_wrong = read_url(url != NULL ? url : kDefaultUrl, out, &port);
  out->wrong = find_socket(options, port, out);
  if (out->wrong == NULL && !out->socket_is_named) out->wrong = url_is_wrong;
  const char* credential_is_wrong = find_credential(options, out, &memory_is_out);
  if (out->wrong == NULL) out->wrong = credential_is_wrong;
  const char* bound_is_wrong = find_lookup_ms(options, out);
  if (out->wrong == NULL) out->wrong = bound_is_wrong;
  return memory_is_out ? -1 : 0;
}

void pc_forget_where(pc_where* where) { free(where->credential); }
