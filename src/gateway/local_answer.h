// Lets a local service answer a client's request as it is, without the pipeline between: `payonce engine`. A JSON
// answer goes out whole, an error instead of half of it; a stream goes out as it comes, at the client's pace, and
// ends with an error event and a cut when the service fails. A client that leaves cancels its call. Threads: the loop
// of the exchange.
#pragma once

#include <memory>
#include <string>

#include "net/local_service.h"
#include "net/server.h"

namespace payonce::gateway {

void answer_locally(std::shared_ptr<net::Exchange> exchange, net::LocalService& service, std::string tenant);

}  // namespace payonce::gateway
