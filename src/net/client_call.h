// One request on its way, and the connection that carries it at the moment.
// Threads: the loop's.  Owner: ClientCore while in flight; connections and the user share it.
#pragma once

#include <chrono>
#include <memory>

#include "net/client.h"

namespace payonce::net {

class ClientCall;
class ClientCore;
using ClientTime = std::chrono::steady_clock::time_point;

// A connection, as its calls see it: Http1Connection or Http2Connection.
class Carrier {
 public:
  virtual ~Carrier() = default;
  virtual void drop(ClientCall& call) = 0;  // stops all work for the call and tells it nothing
  virtual void pause(ClientCall& call) = 0;
  virtual void resume(ClientCall& call) = 0;  // goes on in a later turn of the loop
};

class ClientCall final : public Call, public std::enable_shared_from_this<ClientCall> {
 public:
  ClientCall(std::shared_ptr<ClientCore> core, Origin origin, RequestHead head, base::Bytes body,
             const CallTimeouts& timeouts, std::shared_ptr<ResponseSink> sink);

  void cancel() override;
  void pause() override;
  void resume() override;

  const Origin& origin() const { return origin_; }
  const RequestHead& request() const { return head_; }
  const base::Bytes& body() const { return body_; }
  std::string authority() const;  // Host or :authority
  bool over() const { return sink_ == nullptr; }
  bool paused() const { return paused_; }

  // The phases, each with its deadline.
  void connecting();
  void carried_by(std::shared_ptr<Carrier> carrier);
  // True once: a stale pooled connection may be replaced a single time. `sent`: the request may have arrived on it.
  bool take_resend(bool sent);

  // What came back. Each may re-enter: the call may be over, or the client gone, when it returns.
  void give_head(ResponseHead head);
  void give_data(base::Bytes chunk);
  void give_end();
  void give_error(base::Error error, bool sent);
  void mark_sent() { sent_ = true; }  // some byte of the request is on its way on the present connection

  // While paused it is we who make the answer late, not the upstream.
  bool expired(ClientTime now) const {
    return !over() && now >= deadline_ && (!paused_ || phase_ == Phase::kConnecting);
  }
  void time_out();

 private:
  enum class Phase { kConnecting, kFirstByte, kBody };
  void enter(Phase phase, int64_t limit_ms);
  std::shared_ptr<ResponseSink> finish();

  std::shared_ptr<ClientCore> core_;
  Origin origin_;
  RequestHead head_;
  base::Bytes body_;
  CallTimeouts timeouts_;
  std::shared_ptr<ResponseSink> sink_;  // null: over
  std::shared_ptr<Carrier> carrier_;    // null: connecting, or over
  Phase phase_ = Phase::kConnecting;
  int64_t limit_ms_ = 0;
  ClientTime deadline_;
  bool paused_ = false;
  bool sent_ = false;
  bool resent_ = false;
  bool sent_before_ = false;  // on the connection that was replaced
};

}  // namespace payonce::net
