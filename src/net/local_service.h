// A server inside the process: it takes the requests that would otherwise go out by net::Client, and answers as an
// upstream does, without a socket.  Threads: send() any; the sink's calls come on `loop`, never before send() has
// returned, and cancel(), pause() and resume() of the Call are called there.  Lifetime: outlives its calls.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"
#include "net/client.h"
#include "net/event_loop.h"
#include "net/message.h"

namespace payonce::net {

class LocalService {
 public:
  virtual ~LocalService() = default;
  // `tenant`: whose request it is; what the service keeps of one tenant's requests never serves another's.
  virtual std::shared_ptr<Call> send(RequestHead head, base::Bytes body, std::string tenant, EventLoop& loop,
                                     std::shared_ptr<ResponseSink> sink) = 0;
};

}  // namespace payonce::net
