/* Where the instance is, and how long a lookup may take: from options and environment.
 * Threads: reading any, once it is made. */
#ifndef PAYONCE_WHERE_H
#define PAYONCE_WHERE_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "payonce.h"

typedef struct {
  char socket_path[sizeof(((struct sockaddr_un*)0)->sun_path)]; /* "": HTTP alone */
  int socket_is_named;                                          /* the user named it: no HTTP, and whoever owns it */
  struct sockaddr_storage http;
  socklen_t http_size;
  char host[64];     /* of the Host header: "127.0.0.1:4141" */
  char* credential;  /* NULL: nobody's */
  int64_t lookup_ms; /* bound of a lookup */
  const char* wrong; /* what is wrong with the settings; NULL: nothing */
} pc_where;

/* 0, or -1 when memory is out. Whatever else is wrong stands in `wrong`. */
int pc_find_where(const payonce_options* options, pc_where* out);
void pc_forget_where(pc_where* where);

#endif
