#include "script_server.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"

/* How many bytes the first call in `bytes` has; 0: it is not whole yet. */
static size_t call_size(const script_server* server, const char* bytes, size_t size) {
  if (!server->is_http) {
    if (size < 5) return 0;
    const unsigned char* head = (const unsigned char*)bytes;
    const size_t body = (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];
    return size < body + 5 ? 0 : body + 5;
  }
  for (size_t end = 4; end <= size; end++) {
    if (memcmp(bytes + end - 4, "\r\n\r\n", 4) != 0) continue;
    char head[4096];
    CHECK(end < sizeof head);
    memcpy(head, bytes, end);
    head[end] = '\0';
    const char* length = strstr(head, "Content-Length: ");
    const size_t body = length == NULL ? 0 : strtoul(length + 16, NULL, 10);
    return size < end + body ? 0 : end + body;
  }
  return 0;
}

static void serve(script_server* server, int fd, int* answered) {
  size_t begin = server->heard_size;
  while (*answered < server->count) {
    size_t whole;
    while ((whole = call_size(server, server->heard + begin, server->heard_size - begin)) == 0) {
      const ssize_t got = recv(fd, server->heard + server->heard_size, sizeof server->heard - server->heard_size, 0);
      if (got <= 0) return;
      server->heard_size += (size_t)got;
    }
    begin += whole;
    const script_answer* answer = &server->answers[(*answered)++];
    if (answer->bytes == NULL) {
      char last;
      while (recv(fd, &last, 1, 0) > 0) continue; /* until the client gives up */
      return;
    }
    (void)send(fd, answer->bytes, answer->size, MSG_NOSIGNAL);
    if (answer->then_close) return;
  }
  char last;
  while (recv(fd, &last, 1, 0) > 0) continue;
}

static void* run(void* argument) {
  script_server* server = argument;
  int answered = 0;
  while (answered < server->count) {
    const int fd = accept(server->listener, NULL, NULL);
    CHECK(fd >= 0);
    server->connections++;
    serve(server, fd, &answered);
    close(fd);
  }
  return NULL;
}

void script_start(script_server* server, int is_http, const script_answer* answers, int count) {
  memset(server, 0, sizeof *server);
  server->is_http = is_http;
  server->answers = answers;
  server->count = count;
  server->listener = socket(is_http ? AF_INET : AF_UNIX, SOCK_STREAM, 0);
  CHECK(server->listener >= 0);
  if (is_http) {
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(server->listener, (struct sockaddr*)&address, sizeof address) == 0);
    CHECK(getsockname(server->listener, (struct sockaddr*)&address, &size) == 0);
    (void)snprintf(server->address, sizeof server->address, "http://127.0.0.1:%d", ntohs(address.sin_port));
  } else {
    static int number = 0;
    struct sockaddr_un address;
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    (void)snprintf(server->address, sizeof server->address, "/tmp/payonce-client-test-%d-%d.sock", (int)getpid(),
                   number++);
    (void)unlink(server->address);
    memcpy(address.sun_path, server->address, sizeof address.sun_path);
    CHECK(bind(server->listener, (struct sockaddr*)&address, sizeof address) == 0);
  }
  CHECK(listen(server->listener, 8) == 0);
  CHECK(pthread_create(&server->thread, NULL, run, server) == 0);
}

void script_join(script_server* server) {
  CHECK(pthread_join(server->thread, NULL) == 0);
  close(server->listener);
  if (!server->is_http) (void)unlink(server->address);
}

script_answer script_frame(char verb, const char* json) {
  static char frames[8][4096];
  static int next = 0;
  char* frame = frames[next++ % 8];
  const size_t size = strlen(json);
  CHECK(size + 5 < sizeof frames[0]);
  frame[0] = verb;
  frame[1] = frame[2] = 0;
  frame[3] = (char)(size >> 8);
  frame[4] = (char)(size & 0xFF);
  memcpy(frame + 5, json, size);
  const script_answer answer = {frame, size + 5, 0};
  return answer;
}
