#include "net/server_tls_handshake.h"

#include <utility>

#include "net/http1_server_connection.h"
#include "net/http2_server_connection.h"

namespace payonce::net {
namespace {

class TlsHandshake final : public ServerConnection {
 public:
  TlsHandshake(std::shared_ptr<ServerLoop> home, std::unique_ptr<ServerTransport> transport)
      : ServerConnection(std::move(home)), transport_(std::move(transport)) {
    set_timeout(home_->limits().tls_handshake_timeout_ms);
  }

  void step() {
    if (!transport_) return;  // cut while it waited
    const Io io = transport_->handshake();
    const auto again = [self = shared_from_this(), this] { step(); };
    switch (io.state) {
      case IoState::kWantRead: transport_->wait_readable(again); return;
      case IoState::kWantWrite: transport_->wait_writable(again); return;
      case IoState::kDone: break;
      default: cut(); return;
    }
    clear_timeout();
    if (transport_->chose_http2())
      std::make_shared<Http2ServerConnection>(home_, std::move(transport_))->start({});
    else
      std::make_shared<Http1ServerConnection>(home_, std::move(transport_))->start();
  }

  void begin_drain() override { cut(); }
  void on_deadline() override { cut(); }
  void cut() override {
    clear_timeout();
    if (transport_) transport_->close();
    transport_.reset();
  }

 private:
  std::unique_ptr<ServerTransport> transport_;
};

}  // namespace

void start_tls_handshake(std::shared_ptr<ServerLoop> home, std::unique_ptr<ServerTransport> transport) {
  std::make_shared<TlsHandshake>(std::move(home), std::move(transport))->step();
}

}  // namespace payonce::net
