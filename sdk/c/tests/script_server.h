/* A server of its own thread that answers each connection as a script says, right or wrong.  One at a time. */
#ifndef PAYONCE_SCRIPT_SERVER_H
#define PAYONCE_SCRIPT_SERVER_H

#include <pthread.h>
#include <stddef.h>

typedef struct {
  const char* bytes; /* what is answered to one call; NULL: nothing, and the connection stays open */
  size_t size;
  int then_close;
} script_answer;

typedef struct {
  int listener;
  int is_http;
  const script_answer* answers; /* one a call, over all connections */
  int count;
  int connections;   /* so far */
  char heard[65536]; /* all that came */
  size_t heard_size;
  pthread_t thread;
  char address[128]; /* the socket's path, or the URL */
} script_server;

void script_start(script_server* server, int is_http, const script_answer* answers, int count);
/* Waits until the script is at its end. */
void script_join(script_server* server);
/* A frame in a static buffer: the next call overwrites it after 8 frames. */
script_answer script_frame(char verb, const char* json);

#endif
