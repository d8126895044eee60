#include "net/http1_server_connection.h"

#include <fmt/format.h>

#include <utility>

#include "net/http2_server_connection.h"

namespace payonce::net {
namespace {

constexpr int64_t kLingerMs = 2000;
constexpr size_t kLingerBytes = 64u << 20;
constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";  // RFC 9113 3.4

}  // namespace

Http1ServerConnection::Http1ServerConnection(std::shared_ptr<ServerLoop> home,
                                             std::unique_ptr<ServerTransport> transport)
    : ServerConnection(std::move(home)), transport_(std::move(transport)) {}

void Http1ServerConnection::start() {
  set_timeout(home_->limits().head_timeout_ms);
  if (home_->draining()) close_after_ = true;
  arm_read();
}

void Http1ServerConnection::arm_read() {
  if (read_armed_ || phase_ == Phase::kClosed) return;
  if (phase_ == Phase::kAnswer && in_.size() > home_->limits().max_head_bytes) return;
  read_armed_ = true;
  transport_->wait_readable([keep = self(), this] {
    read_armed_ = false;
    on_readable();
  });
}

void Http1ServerConnection::on_readable() {
  switch (phase_) {
    case Phase::kHead:
    case Phase::kBody: read_request(); break;
    case Phase::kAnswer: watch_client(); break;
    case Phase::kLinger: discard(); break;
    case Phase::kClosed: return;
  }
  arm_read();
}

void Http1ServerConnection::read_request() {
  for (int reads = 0; phase_ == Phase::kHead || phase_ == Phase::kBody; ++reads) {
    std::span<char> to = phase_ == Phase::kBody ? incoming_->body.direct_space() : std::span<char>();
    const bool direct = !to.empty();
    if (!direct) to = home_->read_buffer();
    const Io io = transport_->read(to.data(), to.size());
    if (io.state == IoState::kWantRead) return;
    if (io.state != IoState::kDone) return client_left();
    if (direct) {
      incoming_->body.direct_filled(io.bytes);
      if (incoming_->body.state() == Http1Body::State::kDone) end_body();
    } else {
      receive({to.data(), io.bytes});
    }
    if (phase_ == Phase::kClosed) return;
    const bool more = transport_->has_buffered() || (io.bytes == to.size() && reads < kReadsPerTurn);
    if (!more) return;
  }
}

// An answer is pending. A client that ends its side now has left: none that waits for an answer does so.
void Http1ServerConnection::watch_client() {
  do {
    const std::span<char> to = home_->read_buffer();
    const Io io = transport_->read(to.data(), to.size());
    if (io.state == IoState::kWantRead) return;
    if (io.state != IoState::kDone) return client_left();
    in_.append(to.data(), io.bytes);
  } while (transport_->has_buffered() && in_.size() <= home_->limits().max_head_bytes);
}

void Http1ServerConnection::discard() {
  for (int reads = 0; reads < kReadsPerTurn; ++reads) {
    const std::span<char> to = home_->read_buffer();
    const Io io = transport_->read(to.data(), to.size());
    if (io.state == IoState::kWantRead) return;
    if (io.state != IoState::kDone || io.bytes >= linger_left_) return client_left();
    linger_left_ -= io.bytes;
  }
}

void Http1ServerConnection::receive(std::string_view data) {
  if (in_.empty()) {
    const size_t used = process(data);
    if (used < data.size()) in_.assign(data.substr(used));
    return;
  }
  in_.append(data);
  in_.erase(0, process(in_));
  if (in_.empty()) std::string().swap(in_);
}

// Uses as much as it can: up to the end of a request whose answer is pending, or of the data.
size_t Http1ServerConnection::process(std::string_view data) {
  processing_ = true;
  size_t used = 0;
  while (used < data.size() && (phase_ == Phase::kHead || phase_ == Phase::kBody)) {
    const std::string_view rest = data.substr(used);
    const size_t step = phase_ == Phase::kHead ? take_head(rest) : take_body(rest);
    if (step == 0) break;
    used += step;
  }
  processing_ = false;
  return phase_ == Phase::kLinger || phase_ == Phase::kClosed ? data.size() : used;
}

size_t Http1ServerConnection::take_head(std::string_view data) {
  const Limits& limits = home_->limits();
  if (head_scanned_ == 0 && data.starts_with("\r\n"))
    return 2;  // RFC 9112 2.2: an empty line before a request is skipped
  if (first_request_ && kHttp2Preface.starts_with(data.substr(0, kHttp2Preface.size()))) {
    if (data.size() < kHttp2Preface.size()) return wait_for_head();
    phase_ = Phase::kClosed;
    clear_timeout();
    std::make_shared<Http2ServerConnection>(home_, std::move(transport_))->start(data);
    return data.size();
  }
  const HeadEnd end = find_head_end(data, head_scanned_);
  if (head_scanned_ > limits.max_head_bytes || (end == HeadEnd::kMore && data.size() > limits.max_head_bytes))
    refuse({431, fmt::format("The request head is larger than {} bytes.", limits.max_head_bytes), {}});
  else if (end == HeadEnd::kBareLf)
    refuse({400, "Lines of the request head must end in CRLF.", {}});
  else if (end == HeadEnd::kMore)
    return wait_for_head();
  else
    begin_request(data.substr(0, head_scanned_));
  return std::exchange(head_scanned_, 0);
}

// Its time runs from its first byte, whatever comes after.
size_t Http1ServerConnection::wait_for_head() {
  if (!head_started_) set_timeout(home_->limits().head_timeout_ms);
  head_started_ = true;
  return 0;
}

void Http1ServerConnection::begin_request(std::string_view text) {
  head_started_ = false;
  first_request_ = false;
  auto head = parse_http1_head(text, home_->limits());
  if (!head) return refuse(head.error());
  minor_version_ = head->minor_version;
  is_head_ = head->request.method == "HEAD";
  if (!head->keep_alive || home_->draining()) close_after_ = true;
  const uint64_t length = head->content_length.value_or(0);
  if (length > home_->limits().max_body_bytes)
    return refuse(
        {413, fmt::format("The request body has {} bytes; the limit is {}.", length, home_->limits().max_body_bytes),
         head->request.target});
  if (length == 0 && !head->chunked) return dispatch(std::move(head->request), {});
  phase_ = Phase::kBody;
  set_timeout(home_->limits().body_timeout_ms);
  incoming_ = std::make_unique<Incoming>(
      Incoming{std::move(head->request),
               head->chunked ? Http1Body::chunked(home_->limits().max_body_bytes) : Http1Body::with_length(length)});
  if (head->expects_continue) {
    output_.add_text(std::string_view("HTTP/1.1 100 Continue\r\n\r\n"));
    flush();
  }
}

size_t Http1ServerConnection::take_body(std::string_view data) {
  const size_t used = incoming_->body.feed(data);
  if (incoming_->body.state() == Http1Body::State::kMore) return used;
  if (incoming_->body.state() == Http1Body::State::kDone) {
    end_body();
    return used;
  }
  HttpError error = incoming_->body.error();
  error.target = incoming_->head.target;
  refuse(error);
  return data.size();
}

void Http1ServerConnection::end_body() {
  const std::unique_ptr<Incoming> incoming = std::move(incoming_);
  dispatch(std::move(incoming->head), base::Bytes(incoming->body.take()));
}

void Http1ServerConnection::dispatch(RequestHead head, base::Bytes body) {
  phase_ = Phase::kAnswer;
  clear_timeout();
  auto exchange = std::make_shared<Http1Exchange>(self(), std::move(head), std::move(body));
  exchange_ = exchange.get();
  home_->handle(std::move(exchange));
}

// What is left of the request cannot be told from a next one: the connection ends with this answer.
void Http1ServerConnection::refuse(const HttpError& error) {
  incoming_.reset();
  phase_ = Phase::kAnswer;
  clear_timeout();
  close_after_ = linger_ = true;
  is_head_ = false;
  ResponseHead head{.status = error.status, .headers = {}};
  head.headers.add("Content-Type", "application/json");
  respond(head, home_->error_body(error));
}

// After an answer that was not given at once: what came meanwhile.
void Http1ServerConnection::resume() {
  if (phase_ != Phase::kHead) return;
  if (!in_.empty()) receive({});
  if ((phase_ == Phase::kHead || phase_ == Phase::kBody) && transport_->has_buffered()) read_request();
  arm_read();
}

void Http1ServerConnection::begin_drain() {
  if (phase_ == Phase::kHead && in_.empty()) return close_gracefully();
  close_after_ = true;
}

void Http1ServerConnection::cut() { client_left(); }

void Http1ServerConnection::on_deadline() {
  const bool in_head = phase_ == Phase::kHead && !in_.empty();
  if (in_head || phase_ == Phase::kBody) {
    const std::string target = in_head ? std::string() : incoming_->head.target;
    return refuse({408, in_head ? "The request head took too long." : "The request body took too long.", target});
  }
  if (phase_ == Phase::kAnswer) transport_->reset();  // the client does not read; nothing would tell it of the cut
  client_left();
}

void Http1ServerConnection::client_left() {
  if (phase_ == Phase::kClosed) return;
  const auto keep = self();
  phase_ = Phase::kClosed;
  clear_timeout();
  transport_->close();
  output_.clear();
  std::string().swap(in_);
  incoming_.reset();
  if (exchange_ == nullptr) return;
  const auto on_closed = std::move(exchange_->on_closed);
  release_exchange();
  if (on_closed) on_closed();
}

void Http1ServerConnection::close_gracefully() {
  transport_->shutdown_write();
  client_left();
}

void Http1ServerConnection::begin_linger() {
  phase_ = Phase::kLinger;
  std::string().swap(in_);
  linger_left_ = kLingerBytes;
  set_timeout(kLingerMs);
  transport_->shutdown_write();
  arm_read();
}

}  // namespace payonce::net
