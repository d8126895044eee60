// What we use of ZeroMQ's library, which is loaded for the first subscription.
#pragma once

#include <zmq.h>

#include "base/shared_library.h"

namespace payonce::kv_events {

struct Libzmq {
  base::SharedLibrary library{PAYONCE_ZMQ_LIBRARY};
  decltype(&zmq_ctx_new) ctx_new = library.find("zmq_ctx_new");
  decltype(&zmq_ctx_term) ctx_term = library.find("zmq_ctx_term");
  decltype(&zmq_socket) socket = library.find("zmq_socket");
  decltype(&zmq_socket_monitor) socket_monitor = library.find("zmq_socket_monitor");
  decltype(&zmq_setsockopt) setsockopt = library.find("zmq_setsockopt");
  decltype(&zmq_connect) connect = library.find("zmq_connect");
  decltype(&zmq_close) close = library.find("zmq_close");
  decltype(&zmq_poll) poll = library.find("zmq_poll");
  decltype(&zmq_send) send = library.find("zmq_send");
  decltype(&zmq_msg_init) msg_init = library.find("zmq_msg_init");
  decltype(&zmq_msg_recv) msg_recv = library.find("zmq_msg_recv");
  decltype(&zmq_msg_data) msg_data = library.find("zmq_msg_data");
  decltype(&zmq_msg_size) msg_size = library.find("zmq_msg_size");
  decltype(&zmq_msg_more) msg_more = library.find("zmq_msg_more");
  decltype(&zmq_msg_close) msg_close = library.find("zmq_msg_close");
  decltype(&zmq_errno) error = library.find("zmq_errno");
  decltype(&zmq_strerror) strerror = library.find("zmq_strerror");
};

// Loaded by the first call. Its functions are there if `library` has no fault.
inline const Libzmq& libzmq() {
  static const Libzmq loaded;
  return loaded;
}

}  // namespace payonce::kv_events
