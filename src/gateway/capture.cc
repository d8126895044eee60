#include "gateway/capture.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/hash.h"

namespace payonce::gateway {
namespace {

constexpr size_t kSession_digits = 16;

// What the client calls its session: our own field, or those of agents.
std::string session_of(const net::Headers& headers) {
  const std::string scope = headers.joined("x-payonce-scope");
  if (const size_t at = scope.find("session:"); at != std::string::npos) {
    const std::string_view rest = std::string_view(scope).substr(at + 8);
    return std::string(rest.substr(0, rest.find_first_of(", ")));
  }
  for (const std::string_view name : {"x-session-id", "session_id", "x-claude-code-session-id"})
    if (const auto value = headers.get(name)) return std::string(*value);
  return {};
}

// A name for it that says nothing of it: the scope's id is salted.
std::string hashed(const std::string& session, const std::string& scope) {
  if (session.empty()) return {};
  return "s-" + base::hex(base::sha256(scope + "\n" + session)).substr(0, kSession_digits);
}

}  // namespace

Capture::Begun Capture::begin(const net::Exchange& exchange, const pipeline::Prepared* prepared) const {
  if (recorder_ == nullptr || !recorder_->on() || prepared == nullptr) return nullptr;
  const net::RequestHead& head = exchange.head();
  return std::make_shared<record::Exchange>(
      record::Exchange{.path = head.target.substr(0, head.target.find('?')),
                       .session = hashed(session_of(head.headers), prepared->scope),
                       .user = prepared->scope,
                       .request = exchange.body()});
}

void Capture::add(const Begun& begun, const RequestInfo& info, int64_t first_byte_us) const {
  const int64_t latency_us = clock_.monotonic_us() - info.started_us;
  begun->latency_ms = latency_us / 1000;
  begun->first_byte_ms = (first_byte_us < 0 ? latency_us : first_byte_us) / 1000;
  begun->unix_ms = clock_.unix_ms() - begun->latency_ms;
  recorder_->add(std::move(*begun));
}

void Capture::answered(const Begun& begun, const RequestInfo& info, const pipeline::Answer& answer,
                       int status) const {
  if (!begun) return;
  begun->status = status;
  begun->cache = answer.layer;
  begun->response_bytes = answer.body.size();
  begun->response = [body = answer.body] { return std::optional(body); };
  add(begun, info, -1);
}

void Capture::forwarded(const Begun& begun, const RequestInfo& info, const Timing& timing,
                        const std::shared_ptr<cache::Flight>& flight, std::string_view cache, int status) const {
  if (!begun) return;
  begun->status = status;
  begun->cache = cache;
  if (status != 499 && flight->recordable()) {  // else it may not be whole
    begun->response_bytes = flight->size_bytes();
    begun->response = [flight]() -> std::optional<base::Bytes> { return base::Bytes(flight->recording().body); };
  }
  add(begun, info, timing.upstream_us);
}

}  // namespace payonce::gateway
