#include "net/http1_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <cstring>
#include <utility>

#include "net/tls.h"

namespace payonce::net {
namespace {

namespace http = boost::beast::http;

constexpr size_t kMinRoomBytes = kMaxTlsRecordBytes;  // so that none stays behind inside OpenSSL
constexpr size_t kMaxCoalescedBytes = 16 * 1024;

std::string request_head(const ClientCall& call) {
  const RequestHead& head = call.request();
  const bool has_body =
      !call.body().empty() || head.method == "POST" || head.method == "PUT" || head.method == "PATCH";
  std::string text;
  text.reserve(head.method.size() + head.target.size() + head.headers.lines().size() + 256);
  text.append(head.method).append(" ").append(head.target).append(" HTTP/1.1\r\nHost: ").append(call.authority());
  text.append("\r\n").append(head.headers.lines());
  if (has_body) text.append(fmt::format("Content-Length: {}\r\n", call.body().size()));
  return text.append("\r\n");
}

base::Error bad_head(const boost::system::error_code& error) {
  const bool framing = error == http::error::bad_content_length || error == http::error::multiple_content_length ||
                       error == http::error::bad_transfer_encoding;
  return {base::Code::kUnavailable,
          fmt::format("{}: {}", framing ? "bad framing" : "bad answer head", error.message())};
}

}  // namespace

Http1Connection::Http1Connection(std::shared_ptr<ClientCore> core, std::shared_ptr<Transport> transport)
    : core_(std::move(core)), transport_(std::move(transport)) {
  core_->count_connection(1);
}

Http1Connection::~Http1Connection() { close(); }

void Http1Connection::close() {
  if (!open()) return;
  transport_->close();
  core_->count_connection(-1);
  call_ = nullptr;
  release_buffer();
}

void Http1Connection::start(std::shared_ptr<ClientCall> call) {
  call_ = std::move(call);
  call_->carried_by(shared_from_this());
  reused_ = std::exchange(served_, true);
  head_text_ = request_head(*call_);
  body_ = call_->body();
  if (transport_->tls() && body_.size() <= kMaxCoalescedBytes) {  // One record and one packet instead of two.
    head_text_.append(body_.view());
    body_ = {};
  }
  written_ = 0;
  write_failed_ = answer_begun_ = keep_alive_ = false;
  decoder_ = BodyDecoder::none();
  new_parser();
  write();
  await_readable();
}

void Http1Connection::new_parser() {
  parser_.emplace();
  parser_->eager(false);
  parser_->header_limit(static_cast<uint32_t>(core_->options().max_head_bytes));
  parser_->body_limit(boost::none);  // the body is not the parser's
}

// Never calls the sink: a write that fails leaves the matter to the read, which may still find an early answer.
void Http1Connection::write() {
  while (!all_written() && !write_failed_) {
    const size_t from_head = std::min(written_, head_text_.size());
    const std::string_view head = std::string_view(head_text_).substr(from_head);
    const Transport::Step step = transport_->write(head, body_.view().substr(written_ - from_head));
    if (step.outcome == Transport::Outcome::kWantWrite) return await_writable();
    if (step.outcome == Transport::Outcome::kWantRead) return;  // read() writes on
    if (step.outcome != Transport::Outcome::kDone) {
      write_failed_ = true;
      return;
    }
    written_ += step.bytes;
    if (call_ != nullptr) call_->mark_sent();
  }
}

void Http1Connection::await_readable() {
  if (std::exchange(waiting_readable_, true)) return;
  transport_->wait_readable([self = shared_from_this()] {
    self->waiting_readable_ = false;
    self->read();
  });
}

void Http1Connection::await_writable() {
  if (std::exchange(waiting_writable_, true)) return;
  transport_->wait_writable([self = shared_from_this()] {
    self->waiting_writable_ = false;
    self->write();
    if (self->transport_->tls()) self->read();  // TLS may have waited for this in order to read
  });
}

void Http1Connection::read() {
  if (!open()) return;
  if (call_ == nullptr) return read_idle();
  const auto self = shared_from_this();
  write();
  deliver();  // what a pause has left
  for (int reads = 0; open() && call_ != nullptr && !call_->paused(); ++reads) {
    if (reads == kReadsPerTurn) return core_->post([self] { self->read(); });
    const size_t room = make_room();
    const Transport::Step step = transport_->read(buffer_.get() + end_, room);
    if (step.outcome == Transport::Outcome::kWantRead) break;
    if (step.outcome == Transport::Outcome::kWantWrite) return await_writable();
    if (step.outcome == Transport::Outcome::kClosed) return at_eof();
    if (step.outcome == Transport::Outcome::kFailed) return lost(transport_->failure());
    answer_begun_ = true;
    end_ += step.bytes;
    deliver();
    if (!transport_->tls() && step.bytes < room) break;  // The socket is empty; the wait tells of more.
  }
  if (open() && (call_ == nullptr || !call_->paused())) await_readable();
}

// A close, or bytes that nobody asked for: the connection is of no more use. (TLS may read tickets without either.)
void Http1Connection::read_idle() {
  char byte = 0;
  if (transport_->read(&byte, 1).outcome == Transport::Outcome::kWantRead) return await_readable();
  const auto self = shared_from_this();
  core_->remove_idle(*this);
  close();
}

size_t Http1Connection::make_room() {
  const size_t capacity = core_->buffer_bytes();
  if (begin_ == end_ && !lent_) begin_ = end_ = 0;
  if (buffer_ == nullptr || capacity - end_ < kMinRoomBytes) {
    std::shared_ptr<char[]> target = lent_ ? nullptr : buffer_;
    if (target == nullptr) target = core_->take_buffer();
    if (begin_ < end_) std::memmove(target.get(), buffer_.get() + begin_, end_ - begin_);
    buffer_ = std::move(target);
    lent_ = false;
    end_ -= std::exchange(begin_, 0);
  }
  return capacity - end_;
}

void Http1Connection::release_buffer() {
  if (buffer_ != nullptr && !lent_) core_->give_back(std::move(buffer_));
  buffer_ = nullptr;
  lent_ = false;
  begin_ = end_ = 0;
}

base::Bytes Http1Connection::take(std::string_view piece) {
  if (piece.size() < Transport::kCopiedPieceBytes) return base::Bytes::copy(piece);
  lent_ = true;
  return base::Bytes(buffer_, piece);
}

// Hands on what the buffer holds until it is empty, the call is paused or over, or the connection closed.
void Http1Connection::deliver() {
  while (call_ != nullptr && !call_->paused()) {
    const auto call = call_;
    if (parser_) {
      if (begin_ == end_) return;
      if (base::Status parsed = parse_head(); !parsed) return fail(std::move(parsed.error()));
      if (parser_ && parser_->is_header_done()) {
        new_parser();  // that was a 1xx head, the answer follows (RFC 9110 15.2)
        continue;
      }
      if (parser_) return;  // more is needed
      continue;
    }
    if (decoder_.done()) return finish();
    if (begin_ == end_) return;
    const auto step = decoder_.next({buffer_.get() + begin_, end_ - begin_});
    if (!step) return fail(step.error());
    begin_ += step->consumed;
    if (!step->data.empty()) call->give_data(take(step->data));
  }
}

// Once the head is complete: gives it to the sink and leaves parser_ empty; after a 1xx head leaves it done.
base::Status Http1Connection::parse_head() {
  boost::system::error_code error;
  begin_ += parser_->put(boost::asio::buffer(buffer_.get() + begin_, end_ - begin_), error);
  if (error == http::error::need_more) return {};
  if (error) return base::fail(bad_head(error));
  if (!parser_->is_header_done()) return {};
  const int status = parser_->status();
  if (status == 101) return base::fail(base::Code::kUnavailable, "bad answer head: 101 without a request to upgrade");
  if (status < 200) return {};

  const Headers raw = parser_->take_fields();
  PAYONCE_TRY(decoder_, response_body(call_->request().method, status, raw));
  keep_alive_ = keeps_alive(parser_->is_http_1_1(), raw) && !decoder_.until_close_only();
  parser_.reset();
  const auto call = call_;
  call->give_head({status, end_to_end_fields(raw)});
  return {};
}

void Http1Connection::finish() {
  const auto call = std::exchange(call_, nullptr);
  const bool reusable = keep_alive_ && all_written() && begin_ == end_;
  if (!reusable) {
    close();
    return call->give_end();
  }
  release_buffer();
  body_ = {};
  idle_since_ = std::chrono::steady_clock::now();
  core_->put_idle(shared_from_this());  // first, so that a request sent from on_end finds it
  call->give_end();
}

void Http1Connection::at_eof() {
  if (parser_) return lost(fmt::format("{} closed the connection before its answer", transport_->name()));
  if (base::Status complete = decoder_.at_eof(); !complete) return fail(std::move(complete.error()));
  const auto call = std::exchange(call_, nullptr);
  close();
  call->give_end();
}

void Http1Connection::lost(const std::string& why) {
  const auto call = call_;
  if (!reused_ || answer_begun_ || !call->take_resend(written_ > 0))
    return fail({base::Code::kUnavailable, fmt::format("{}; the upstream may be overloaded or restarting", why)});
  close();
  core_->send_again(call);
}

void Http1Connection::fail(base::Error error) {
  const auto call = std::exchange(call_, nullptr);
  const bool sent = written_ > 0;
  close();
  call->give_error(std::move(error), sent);
}

void Http1Connection::drop(ClientCall& call) {
  if (call_.get() == &call) close();
}

void Http1Connection::resume(ClientCall&) {
  core_->post([self = shared_from_this()] { self->read(); });
}

}  // namespace payonce::net
