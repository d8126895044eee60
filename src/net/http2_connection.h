#pragma once
#include "net/server_loop.h"
namespace payonce::net {
class Http2Connection {
 public:
  Http2Connection(std::shared_ptr<ServerLoop>, std::unique_ptr<Transport>) {}
  void start(std::string_view) {}
};
}
