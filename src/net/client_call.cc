#include "net/client_call.h"

#include <fmt/format.h>

#include <utility>

#include "net/client_core.h"

namespace payonce::net {

ClientCall::ClientCall(std::shared_ptr<ClientCore> core, Origin origin, RequestHead head, base::Bytes body,
                       const CallTimeouts& timeouts, std::shared_ptr<ResponseSink> sink)
    : core_(std::move(core)),
      origin_(std::move(origin)),
      head_(std::move(head)),
      body_(std::move(body)),
      timeouts_(timeouts),
      sink_(std::move(sink)) {}

std::string ClientCall::authority() const {
  if (!head_.authority.empty()) return head_.authority;
  const bool v6 = origin_.host.find(':') != std::string::npos;
  std::string text = v6 ? fmt::format("[{}]", origin_.host) : origin_.host;
  if (origin_.port != (origin_.tls ? 443 : 80)) text += fmt::format(":{}", origin_.port);
  return text;
}

void ClientCall::enter(Phase phase, int64_t limit_ms) {
  phase_ = phase;
  limit_ms_ = limit_ms;
  deadline_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(limit_ms);
}

void ClientCall::connecting() {
  carrier_ = nullptr;
  sent_ = false;
  enter(Phase::kConnecting, timeouts_.connect_ms);
}

void ClientCall::carried_by(std::shared_ptr<Carrier> carrier) {
  carrier_ = std::move(carrier);
  enter(Phase::kFirstByte, timeouts_.first_byte_ms);
  if (paused_) carrier_->pause(*this);
}

bool ClientCall::take_resend(bool sent) {
  if (std::exchange(resent_, true)) return false;
  sent_before_ = sent;
  return true;
}

std::shared_ptr<ResponseSink> ClientCall::finish() {
  carrier_ = nullptr;
  body_ = {};  // the user may keep the call for longer
  auto sink = std::exchange(sink_, nullptr);
  std::exchange(core_, nullptr)->forget(*this);
  return sink;
}

void ClientCall::cancel() {
  if (over()) return;
  const auto self = shared_from_this();
  const auto carrier = carrier_;
  finish();
  if (carrier != nullptr) carrier->drop(*this);
}

void ClientCall::pause() {
  if (over() || paused_) return;
  paused_ = true;
  if (carrier_ != nullptr) carrier_->pause(*this);
}

void ClientCall::resume() {
  if (over() || !paused_) return;
  paused_ = false;
  // The time in which we did not read is not the upstream's fault.
  enter(phase_, limit_ms_);
  if (carrier_ != nullptr) carrier_->resume(*this);
}

void ClientCall::give_head(ResponseHead head) {
  if (over()) return;
  enter(Phase::kBody, timeouts_.idle_ms);
  const auto sink = sink_;
  sink->on_head(std::move(head));
}

void ClientCall::give_data(base::Bytes chunk) {
  if (over()) return;
  enter(Phase::kBody, timeouts_.idle_ms);
  const auto sink = sink_;
  sink->on_data(std::move(chunk));
}

void ClientCall::give_end() {
  if (over()) return;
  const auto self = shared_from_this();
  finish()->on_end();
}

void ClientCall::give_error(base::Error error, bool sent) {
  if (over()) return;
  const auto self = shared_from_this();
  finish()->on_error(std::move(error), sent || sent_before_);
}

void ClientCall::time_out() {
  if (over()) return;
  const auto self = shared_from_this();
  const auto carrier = carrier_;
  const auto name = fmt::format("{}:{}", origin_.host, origin_.port);
  std::string text;
  switch (phase_) {
    case Phase::kConnecting: text = fmt::format("no connection to {} within {} ms", name, limit_ms_); break;
    case Phase::kFirstByte: text = fmt::format("no first byte from {} within {} ms", name, limit_ms_); break;
    case Phase::kBody: text = fmt::format("nothing more of the answer from {} within {} ms", name, limit_ms_); break;
  }
  const auto sink = finish();
  if (carrier != nullptr) carrier->drop(*this);
  sink->on_error({base::Code::kTimeout, std::move(text)}, sent_ || sent_before_);
}

}  // namespace payonce::net
