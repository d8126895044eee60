// The first part of a TLS connection: the handshake, which then chooses HTTP/2 or HTTP/1.1 (ALPN).
#pragma once

#include <memory>

#include "net/server_loop.h"
#include "net/server_transport.h"

namespace payonce::net {

void start_tls_handshake(std::shared_ptr<ServerLoop> home, std::unique_ptr<ServerTransport> transport);

}  // namespace payonce::net
