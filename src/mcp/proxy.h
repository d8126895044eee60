// `payonce mcp`: a client's standard input and output on one side, a server's process on the other, and the cache
// between them. Two threads, one for each direction, both blocking: a peer that does not read holds up its own
// direction and nobody else's, and nothing is buffered beyond one line.
// Threads: run_proxy() main's.
#pragma once

#include "mcp/settings.h"

namespace payonce::mcp {

// Until the server has ended. Its exit status; 127 when there is no such program, 126 when it cannot be run.
int run_proxy(const ProxySettings& settings);

}  // namespace payonce::mcp
