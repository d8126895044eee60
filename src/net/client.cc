#include "net/client.h"

#include <algorithm>
#include <utility>

#include "net/client_call.h"
#include "net/client_core.h"

namespace payonce::net {
namespace {

// What would let a request be read as two by the upstream.
bool well_formed(std::string_view part) {
  return std::none_of(part.begin(), part.end(), [](char c) { return (c >= 0 && c <= ' ') || c == '\x7f'; });
}

}  // namespace

struct Client::State final : ClientCore {
  using ClientCore::ClientCore;
};

Client::Client(EventLoop& loop, Options options) : state_(std::make_shared<State>(loop, std::move(options))) {}

Client::~Client() { state_->shut_down(); }

std::shared_ptr<Call> Client::send(const Origin& origin, RequestHead head, base::Bytes body,
                                   const CallTimeouts& timeouts, std::shared_ptr<ResponseSink> sink) {
  const bool valid = !head.method.empty() && well_formed(head.method) && head.target.starts_with('/') &&
                     well_formed(head.target) && well_formed(head.authority);
  auto call =
      std::make_shared<ClientCall>(state_, origin, std::move(head), std::move(body), timeouts, std::move(sink));
  if (valid)
    state_->start(call);
  else
    state_->refuse(call, {base::Code::kInvalid,
                          "method, target or authority with a space or control character, "
                          "or a target that does not start with '/'"});
  return call;
}

}  // namespace payonce::net
