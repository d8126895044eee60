#include "connection.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* macOS has SO_NOSIGPIPE instead */
#endif

int64_t pc_now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* 0 when it is ready, -1 when the deadline passed. */
static int wait_until_ready(int fd, short events, int64_t deadline_ms) {
  for (;;) {
    const int64_t left = deadline_ms - pc_now_ms();
    if (left <= 0) return -1;
    struct pollfd poll_for = {fd, events, 0};
    const int ready = poll(&poll_for, 1, left > 60000 ? 60000 : (int)left);
    if (ready > 0) return 0;
    if (ready < 0 && errno != EINTR) return -1;
  }
}

static int open_socket(int family) {
  const int fd = socket(family, SOCK_STREAM, 0);
  if (fd < 0) return -1;
  (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
  (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  const int on = 1;
  if (family != AF_UNIX) (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
#ifdef SO_NOSIGPIPE
  (void)setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
  return fd;
}

static pc_outcome connect_to(pc_connection* to, const struct sockaddr* address, socklen_t size, int64_t deadline_ms) {
  to->fd = open_socket(address->sa_family);
  if (to->fd < 0) return PC_NOBODY;
  to->owner = getpid();
  to->is_http = address->sa_family != AF_UNIX;
  to->greeted = 0;
  to->in.size = 0;
  if (connect(to->fd, address, size) == 0) return PC_ANSWERED;
  /* A Unix socket whose queue is full says EAGAIN: somebody is there, but busy. */
  pc_outcome failed = errno == EAGAIN ? PC_LATE : PC_NOBODY;
  if (errno == EINPROGRESS || errno == EINTR) {
    int error = 0;
    socklen_t error_size = sizeof error;
    if (wait_until_ready(to->fd, POLLOUT, deadline_ms) != 0) {
      failed = PC_LATE;
    } else if (getsockopt(to->fd, SOL_SOCKET, SO_ERROR, &error, &error_size) == 0 && error == 0) {
      return PC_ANSWERED;
    }
  }
  pc_disconnect(to);
  return failed;
}

/* A default path is used only where nobody else could have put it: in /tmp, anyone can make that folder first. */
static int is_ours(const char* path) {
  struct stat is;
  return lstat(path, &is) == 0 && S_ISSOCK(is.st_mode) && (is.st_uid == getuid() || is.st_uid == 0);
}

pc_outcome pc_connect(pc_connection* to, const pc_where* where, int64_t deadline_ms) {
  if (where->socket_path[0] != '\0' && (where->socket_is_named || is_ours(where->socket_path))) {
    struct sockaddr_un address;
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, where->socket_path, sizeof address.sun_path);
    const pc_outcome outcome = connect_to(to, (const struct sockaddr*)&address, sizeof address, deadline_ms);
    if (outcome != PC_NOBODY || where->socket_is_named) return outcome;
  }
  return connect_to(to, (const struct sockaddr*)&where->http, where->http_size, deadline_ms);
}

pc_outcome pc_exchange(pc_connection* on, const pc_where* where, const pc_call* call, int64_t deadline_ms,
                       pc_answer* out) {
  int keep = 1;
  on->in.size = 0;
  const pc_outcome outcome = on->is_http ? pc_http_exchange(on, where, call, deadline_ms, out, &keep)
                                         : pc_frame_exchange(on, where, call, deadline_ms, out);
  /* After anything but an answer the next one on this connection could be taken for another call's. */
  if (outcome != PC_ANSWERED || !keep) {
    close(on->fd);
    on->fd = -1;
  }
  return outcome;
}

void pc_disconnect(pc_connection* connection) {
  if (connection->fd >= 0) close(connection->fd);
  connection->fd = -1;
  pc_free(&connection->in);
}

pc_outcome pc_send(pc_connection* on, const char* bytes, size_t size, int64_t deadline_ms) {
  while (size > 0) {
    const ssize_t sent = send(on->fd, bytes, size, MSG_NOSIGNAL);
    if (sent > 0) {
      bytes += sent;
      size -= (size_t)sent;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (wait_until_ready(on->fd, POLLOUT, deadline_ms) != 0) return PC_LATE;
    } else if (errno != EINTR) {
      return PC_GONE;
    }
  }
  return PC_ANSWERED;
}

pc_outcome pc_receive(pc_connection* on, int64_t deadline_ms) {
  enum { kChunk = 16 * 1024 };
  char* to = pc_reserve(&on->in, kChunk);
  if (to == NULL) return PC_UNREADABLE;
  for (;;) {
    const ssize_t got = recv(on->fd, to, on->in.capacity - on->in.size, 0);
    if (got > 0) {
      on->in.size += (size_t)got;
      return PC_ANSWERED;
    }
    if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
      return on->in.size == 0 ? PC_GONE : PC_UNREADABLE;
    if (errno != EINTR && wait_until_ready(on->fd, POLLIN, deadline_ms) != 0) return PC_LATE;
  }
}
