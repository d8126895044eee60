// The writing half of Http1ServerConnection, and the exchange, which is its handle.
#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <charconv>
#include <cstdint>
#include <string_view>
#include <utility>

#include "net/http1_server_connection.h"

namespace payonce::net {
namespace {

// A number in decimal, without the heap: every answer writes two.
class Decimal {
 public:
  explicit Decimal(uint64_t value) : end_(std::to_chars(digits_, digits_ + sizeof digits_, value).ptr) {}
  Decimal(const Decimal&) = delete;
  Decimal& operator=(const Decimal&) = delete;
  std::string_view view() const { return {digits_, static_cast<size_t>(end_ - digits_)}; }

 private:
  char digits_[20];
  const char* const end_;
};

// Appends the lines of all fields but those of the connection, whole runs at a time. True: a Date was among them.
bool append_end_to_end_fields(std::string& out, std::string_view lines) {
  bool dated = false;
  size_t run = 0;  // where what is not yet appended begins
  for (size_t at = 0; at < lines.size();) {
    const size_t end = lines.find('\n', at) + 1;
    const char first = static_cast<char>(lines[at] | 0x20);
    if (std::string_view("cdkptu").find(first) != std::string_view::npos) {  // the only first letters that matter
      const std::string_view name = lines.substr(at, lines.find(':', at) - at);
      dated = dated || equals_ignoring_case(name, "date");
      if (is_connection_field(name)) {
        out.append(lines.substr(run, at - run));
        run = end;
      }
    }
    at = end;
  }
  out.append(lines.substr(run));
  return dated;
}

}  // namespace

Http1Exchange::Http1Exchange(std::shared_ptr<Http1ServerConnection> connection, RequestHead head, base::Bytes body)
    : loop_(connection->home_->loop()),
      remote_address_(connection->transport_->remote_address()),
      connection_(std::move(connection)) {
  head_ = std::move(head);
  body_ = std::move(body);
}

Http1Exchange::~Http1Exchange() {
  if (!connection_) return;
  connection_->exchange_ = nullptr;
  // Of a loop that has ended nothing is left but to be destroyed.
  if (!loop_.context().stopped()) connection_->dropped();
}

void Http1Exchange::respond(ResponseHead head, base::Bytes body) {
  if (const auto connection = connection_) connection->respond(head, std::move(body));
}
void Http1Exchange::start(ResponseHead head, std::optional<uint64_t> content_length) {
  if (connection_) connection_->start_answer(head, content_length);
}
void Http1Exchange::write(base::Bytes chunk) {
  if (const auto connection = connection_) connection->write(std::move(chunk));
}
void Http1Exchange::finish() {
  if (const auto connection = connection_) connection->finish();
}
void Http1Exchange::abort() {
  if (const auto connection = connection_) connection->abort();
}
size_t Http1Exchange::unsent_bytes() const { return connection_ ? connection_->output_.bytes() : 0; }
bool Http1Exchange::is_behind() const { return connection_ && connection_->above_high_water_; }

// The caller holds the connection: this may drop its last other owner.
void Http1ServerConnection::release_exchange() {
  if (exchange_ == nullptr) return;
  std::exchange(exchange_, nullptr)->connection_.reset();
}

std::string Http1ServerConnection::answer_head(const ResponseHead& head, std::string_view framing) {
  std::string text;
  text.reserve(head.headers.lines().size() + 192);
  text.append("HTTP/1.1 ").append(Decimal(static_cast<uint64_t>(head.status)).view()).append(" ");
  text.append(reason_phrase(head.status)).append("\r\n");
  const bool dated = append_end_to_end_fields(text, head.headers.lines());
  text.append(framing);
  if (!dated) text.append("Date: ").append(home_->date().now()).append("\r\n");
  if (close_after_)
    text.append("Connection: close\r\n");
  else if (minor_version_ == 0)
    text.append("Connection: keep-alive\r\n");
  text.append("\r\n");
  return text;
}

void Http1ServerConnection::respond(const ResponseHead& head, base::Bytes body) {
  if (framing_ != Framing::kNotStarted) return abort();  // a second head on the wire would be read as body
  const bool sized = !has_no_body(head.status);
  std::string framing;
  if (sized) framing.append("Content-Length: ").append(Decimal(body.size()).view()).append("\r\n");
  output_.add_text(answer_head(head, framing));
  if (sized && !is_head_) output_.add(std::move(body));
  framing_ = Framing::kNoBody;
  end_answer();
}

void Http1ServerConnection::start_answer(const ResponseHead& head, std::optional<uint64_t> content_length) {
  if (framing_ != Framing::kNotStarted) return;
  std::string framing;
  if (has_no_body(head.status)) {
    framing_ = Framing::kNoBody;
  } else if (content_length) {
    framing_ = Framing::kLength;
    length_left_ = *content_length;
    framing = fmt::format("Content-Length: {}\r\n", *content_length);
  } else if (minor_version_ == 1) {
    framing_ = Framing::kChunked;
    framing = "Transfer-Encoding: chunked\r\n";
  } else {
    framing_ = Framing::kUntilClose;
    close_after_ = true;
  }
  output_.add_text(answer_head(head, framing));
  if (is_head_) framing_ = Framing::kNoBody;
  schedule_flush();
}

void Http1ServerConnection::write(base::Bytes chunk) {
  if (chunk.empty() || framing_ == Framing::kNoBody) return;
  if (framing_ == Framing::kNotStarted) return;
  if (framing_ == Framing::kLength) {
    if (chunk.size() > length_left_) return abort();  // more than was announced: not a whole answer for anybody
    length_left_ -= chunk.size();
  }
  if (framing_ == Framing::kChunked) output_.add_text(fmt::format("{:x}\r\n", chunk.size()));
  output_.add(std::move(chunk));
  if (framing_ == Framing::kChunked) output_.add_text(std::string_view("\r\n"));
  if (output_.bytes() > home_->limits().write_high_water_bytes) above_high_water_ = true;
  schedule_flush();
}

void Http1ServerConnection::finish() {
  if (framing_ == Framing::kNotStarted) return dropped();
  if (framing_ == Framing::kLength && length_left_ > 0) return abort();
  if (framing_ == Framing::kChunked) output_.add_text(std::string_view("0\r\n\r\n"));
  end_answer();
}

void Http1ServerConnection::abort() {
  aborted_ = close_after_ = true;
  end_answer();
}

void Http1ServerConnection::dropped() {
  const auto keep = self();
  if (framing_ != Framing::kNotStarted) return abort();
  ResponseHead head{.status = 500, .headers = {}};
  head.headers.add("Content-Type", "application/json");
  respond(head, home_->error_body({500, "The request was not answered.", {}}));
}

void Http1ServerConnection::end_answer() {
  release_exchange();
  answer_complete_ = true;
  flush();
}

void Http1ServerConnection::schedule_flush() {
  if (flush_posted_) return;
  flush_posted_ = true;
  boost::asio::post(home_->loop().context(), [keep = self(), this] {
    flush_posted_ = false;
    flush();
  });
}

void Http1ServerConnection::flush() {
  if (phase_ == Phase::kClosed || phase_ == Phase::kLinger || write_armed_) return;
  const Io io = output_.flush(*transport_);
  const auto again = [keep = self(), this] {
    write_armed_ = false;
    flush();
  };
  switch (io.state) {
    case IoState::kDone: break;
    case IoState::kWantRead:
    case IoState::kWantWrite:
      write_armed_ = true;
      if (phase_ == Phase::kAnswer) set_timeout(home_->limits().write_stall_timeout_ms);
      if (io.state == IoState::kWantRead)
        transport_->wait_readable(again);
      else
        transport_->wait_writable(again);
      break;
    default: return client_left();
  }
  if (output_.empty() && phase_ == Phase::kAnswer) clear_timeout();
  if (output_.empty() && answer_complete_) return next_request();
  if (!above_high_water_ || output_.bytes() >= home_->limits().write_low_water_bytes) return;
  above_high_water_ = false;
  if (exchange_ == nullptr || !exchange_->on_drained) return;
  const auto on_drained = exchange_->on_drained;  // a copy: the callback may replace itself
  on_drained();
}

// The answer is out.
void Http1ServerConnection::next_request() {
  answer_complete_ = above_high_water_ = false;
  if (aborted_) {
    // Behind a body that ends with the connection, only an error can tell that it is not complete.
    if (framing_ == Framing::kUntilClose) transport_->reset();
    return client_left();
  }
  framing_ = Framing::kNotStarted;
  if (close_after_ || home_->draining()) {
    if (linger_ || !in_.empty()) return begin_linger();
    return close_gracefully();
  }
  phase_ = Phase::kHead;
  set_timeout(home_->limits().idle_timeout_ms);
  if (processing_) return;
  if (in_.empty() && !transport_->has_buffered()) return arm_read();
  boost::asio::post(home_->loop().context(), [keep = self(), this] { resume(); });
}

}  // namespace payonce::net
