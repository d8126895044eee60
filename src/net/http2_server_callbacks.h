// nghttp2's C callbacks, bound to Http2ServerConnection.
#pragma once

#include <nghttp2/nghttp2.h>

#include "net/message.h"

namespace payonce::net {

class Http2ServerConnection;

// With our settings and windows already submitted; null when out of memory.
nghttp2_session* new_http2_server_session(Http2ServerConnection& connection, const Limits& limits);

// What to read the body of an answer from.
nghttp2_data_provider http2_answer_body();

}  // namespace payonce::net
