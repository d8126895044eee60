// The agent API on a Unix socket, for the SDKs: about half the time of HTTP, and who may call is a matter of the file
// system. A connection's calls are answered one after the other, in their order. docs/agents/api.md has the frames.
// Threads: constructor, start() and destructor one thread; connections run on the loops.
// Owner: the instance. It is destroyed when the loops have stopped, and before them.
#pragma once

#include <memory>
#include <string>

#include "agent/api/agent_api.h"
#include "base/result.h"
#include "net/event_loop.h"

namespace payonce::agent {

class SocketServer {
 public:
  static constexpr size_t kMaxConnections = 4096;
  SocketServer(std::string path, AgentApi& api, net::EventLoops& loops);
  ~SocketServer();  // the file goes, too

  // Makes the directory (0700) and the socket (0600). A file there that nobody listens on is replaced; kUnavailable
  // when somebody does.
  base::Status start();
  const std::string& path() const { return path_; }

 private:
  class Connection;
  struct State;
  static void accept(const std::shared_ptr<State>& state);
  const std::string path_;
  std::shared_ptr<State> state_;
};

// Where the SDKs look: $XDG_RUNTIME_DIR/payonce/PORT.sock, or /tmp/payonce-UID/PORT.sock.
std::string default_socket_path(uint16_t port);

}  // namespace payonce::agent
