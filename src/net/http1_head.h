// Head of an HTTP/1.1 request: finds its end, parses it (fields by Boost.Beast) and refuses everything that two
// implementations could read in two ways: the door to request smuggling (RFC 9112 sections 2.2,
// 3, 5.1, 5.2, 6.1, 6.3, 11.2). Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <tl/expected.hpp>

#include "net/message.h"
#include "net/server_answer.h"

namespace payonce::net {

struct Http1Head {
  RequestHead request;
  int minor_version = 1;  // HTTP/1.x
  bool keep_alive = true;
  bool chunked = false;
  bool expects_continue = false;
  std::optional<uint64_t> content_length;  // bytes
};

enum class HeadEnd { kFound, kMore, kBareLf };

// Looks for the empty line from `position` on, which moves to where to go on (kMore) or to the byte behind the head
// (kFound). Lines must end in CRLF: a bare LF (RFC 9112 2.2 lets us choose) is refused.
HeadEnd find_head_end(std::string_view data, size_t& position);

// `head` is the whole head with its empty line.
tl::expected<Http1Head, HttpError> parse_http1_head(std::string_view head, const Limits& limits);

}  // namespace payonce::net
