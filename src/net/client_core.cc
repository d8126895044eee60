#include "net/client_core.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "net/http1_client.h"
#include "net/http2_client.h"
#include "net/tls.h"

namespace payonce::net {
namespace {

constexpr std::chrono::milliseconds kTick(50);

}  // namespace

struct ClientCore::Dial {
  std::shared_ptr<Transport> transport;
  std::vector<std::shared_ptr<ClientCall>> waiting;  // the first asked for it
};

ClientCore::ClientCore(EventLoop& loop, Client::Options options)
    : loop_(loop), options_(std::move(options)), tls_(make_client_tls(options_.tls)), timer_(loop.context()) {}

ClientCore::~ClientCore() = default;

void ClientCore::start(const std::shared_ptr<ClientCall>& call) {
  if (!tls_ && call->origin().tls) return refuse(call, tls_.error());
  calls_.insert(call);
  start_tick();
  route(call);
}

void ClientCore::refuse(const std::shared_ptr<ClientCall>& call, base::Error error) {
  calls_.insert(call);
  post([call, error = std::move(error)] { call->give_error(error, false); });
}

void ClientCore::forget(ClientCall& call) { calls_.erase(call.shared_from_this()); }

size_t ClientCore::buffer_bytes() const {
  return std::max(Transport::kBufferBytes, options_.max_head_bytes + kMaxTlsRecordBytes);
}

std::shared_ptr<char[]> ClientCore::take_buffer() {
  if (spare_buffer_ != nullptr) return std::move(spare_buffer_);
  return std::make_shared_for_overwrite<char[]>(buffer_bytes());
}

void ClientCore::give_back(std::shared_ptr<char[]> buffer) { spare_buffer_ = std::move(buffer); }

void ClientCore::route(const std::shared_ptr<ClientCall>& call) {
  Site& site = sites_[call->origin()];
  if (site.http2 != nullptr) return site.http2->start(call);
  if (!site.idle.empty()) {
    const auto connection = std::move(site.idle.back());
    site.idle.pop_back();
    return connection->start(call);
  }
  dial(call);
}

void ClientCore::dial(const std::shared_ptr<ClientCall>& call) {
  call->connecting();
  Site& site = sites_[call->origin()];
  if (site.shared_dial != nullptr) return site.shared_dial->waiting.push_back(call);
  const auto dial = std::make_shared<Dial>();
  const Origin& origin = call->origin();
  dial->transport =
      std::make_shared<Transport>(loop_.context(), origin, origin.tls ? *tls_ : nullptr, options_.tls.verify);
  dial->waiting.push_back(call);
  if (site.speaks_http2 || origin.http2_prior_knowledge) site.shared_dial = dial;
  dials_.insert(dial);
  // The dial is held by dials_ alone: shutting down ends it.
  dial->transport->connect([self = shared_from_this(), weak = std::weak_ptr<Dial>(dial)](base::Status status) {
    if (const auto done = weak.lock()) self->dialled(done, std::move(status));
  });
}

void ClientCore::dialled(const std::shared_ptr<Dial>& dial, base::Status status) {
  const auto self = shared_from_this();
  const auto transport = dial->transport;
  const auto waiting = std::move(dial->waiting);
  Site& site = sites_[transport->origin()];
  if (site.shared_dial == dial) site.shared_dial = nullptr;
  dials_.erase(dial);
  if (!status) {
    transport->close();
    for (const auto& call : waiting) call->give_error(status.error(), false);
    return;
  }
  site.speaks_http2 = transport->origin().http2_prior_knowledge || transport->alpn() == "h2";
  if (site.speaks_http2) {
    if (site.http2 != nullptr)
      transport->close();  // another dial was faster
    else
      site.http2 = Http2Connection::open(self, transport);
    for (const auto& call : waiting)
      if (!call->over()) route(call);
    return;
  }
  const auto connection = std::make_shared<Http1Connection>(self, transport);
  bool taken = false;
  for (const auto& call : waiting) {
    if (call->over()) continue;
    if (!std::exchange(taken, true))
      connection->start(call);
    else
      this->dial(call);
  }
  if (!taken) put_idle(connection);  // its call has left: the next one gains by it
}

void ClientCore::send_again(const std::shared_ptr<ClientCall>& call) {
  if (call->over()) return;
  // A connection that failed is no longer the site's; an idle HTTP/1.1 one could be as stale as it was.
  if (const auto& http2 = sites_[call->origin()].http2; http2 != nullptr) return http2->start(call);
  dial(call);
}

void ClientCore::put_idle(std::shared_ptr<Http1Connection> connection) {
  Site& site = sites_[connection->origin()];
  if (shut_down_ || site.idle.size() >= options_.max_idle_per_origin) return connection->close();
  site.idle.push_back(std::move(connection));
  start_tick();
}

void ClientCore::remove_idle(const Http1Connection& connection) {
  std::erase_if(sites_[connection.origin()].idle, [&](const auto& idle) { return idle.get() == &connection; });
}

void ClientCore::remove_http2(const Http2Connection& connection) {
  Site& site = sites_[connection.origin()];
  if (site.http2.get() == &connection) site.http2 = nullptr;
}

void ClientCore::start_tick() {
  if (shut_down_ || std::exchange(ticking_, true)) return;
  timer_.expires_after(kTick);
  timer_.async_wait([self = shared_from_this()](const boost::system::error_code& cancelled) {
    self->ticking_ = false;
    if (!cancelled) self->tick();
  });
}

// One look at everything every 50 ms, and only while there is something to look at.
void ClientCore::tick() {
  const ClientTime now = std::chrono::steady_clock::now();
  std::vector<std::shared_ptr<ClientCall>> late;
  for (const auto& call : calls_)
    if (call->expired(now)) late.push_back(call);
  for (const auto& call : late)
    if (call->expired(now)) call->time_out();
  // A connection on its way for which nobody waits any more ends here.
  std::erase_if(dials_, [&](const std::shared_ptr<Dial>& dial) {
    std::erase_if(dial->waiting, [](const auto& call) { return call->over(); });
    if (!dial->waiting.empty()) return false;
    dial->transport->close();
    if (Site& site = sites_[dial->transport->origin()]; site.shared_dial == dial) site.shared_dial = nullptr;
    return true;
  });
  close_idle(now);
  const bool connected = std::any_of(sites_.begin(), sites_.end(), [](const auto& site) {
    return !site.second.idle.empty() || site.second.http2 != nullptr;
  });
  if (connected || !calls_.empty() || !dials_.empty()) start_tick();
}

void ClientCore::close_idle(ClientTime now) {
  const ClientTime limit = now - std::chrono::milliseconds(options_.idle_timeout_ms);
  for (auto& [origin, site] : sites_) {
    // The oldest stand first, as the pool takes and gives at its end.
    const auto first_young = std::find_if(site.idle.begin(), site.idle.end(),
                                          [&](const auto& connection) { return connection->idle_since() > limit; });
    for (auto it = site.idle.begin(); it != first_young; ++it) (*it)->close();
    site.idle.erase(site.idle.begin(), first_young);
    if (const auto http2 = site.http2; http2 != nullptr && http2->idle_before(limit)) http2->close();
  }
}

void ClientCore::shut_down() {
  if (std::exchange(shut_down_, true)) return;
  const auto calls = std::exchange(calls_, {});
  for (const auto& call : calls) call->cancel();
  for (const auto& dial : std::exchange(dials_, {})) dial->transport->close();
  for (auto& [origin, site] : std::exchange(sites_, {})) {
    for (const auto& connection : site.idle) connection->close();
    if (site.http2 != nullptr) site.http2->close();
  }
  timer_.cancel();
}

}  // namespace payonce::net
