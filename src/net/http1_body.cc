#include "net/http1_body.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.h"
#include "net/chunked.h"

namespace payonce::net {
namespace {

constexpr size_t kMaxExtensionBytes = 4096;  // of one chunk; nobody uses them, so they only cost
constexpr size_t kDirectBytes = 16 * 1024;   // below this a copy is cheaper than a read of its own
constexpr size_t kGrowthBytes = 64 * 1024;

}  // namespace

Http1Body Http1Body::with_length(uint64_t length) {
  Http1Body body;
  body.left_ = length;
  if (length == 0) body.state_ = State::kDone;
  return body;
}

Http1Body Http1Body::chunked(size_t max_body_bytes) {
  Http1Body body;
  body.step_ = Step::kSize;
  body.max_body_bytes_ = max_body_bytes;
  return body;
}

void Http1Body::fail(int status, std::string message) {
  state_ = State::kFailed;
  error_ = HttpError{.status = status, .message = std::move(message), .target = {}};
}

size_t Http1Body::take_data(std::string_view data) {
  const size_t size = static_cast<size_t>(std::min<uint64_t>(left_, data.size()));
  body_.resize(filled_);
  body_.append(data.substr(0, size));
  filled_ += size;
  left_ -= size;
  return size;
}

size_t Http1Body::feed(std::string_view data) {
  if (state_ != State::kMore) return 0;
  if (step_ != Step::kLength) return feed_chunked(data);
  const size_t used = take_data(data);
  if (left_ == 0) state_ = State::kDone;
  return used;
}

std::span<char> Http1Body::direct_space() {
  if (step_ != Step::kLength || state_ != State::kMore || left_ < kDirectBytes) return {};
  if (body_.size() == filled_) {
    // Doubles what came so far: a claim of 32 MB alone costs 64 KiB.
    const size_t more = static_cast<size_t>(std::min<uint64_t>(left_, std::max(kGrowthBytes, filled_)));
    body_.resize(filled_ + more);
  }
  return {body_.data() + filled_, body_.size() - filled_};
}

void Http1Body::direct_filled(size_t size) {
  filled_ += size;
  left_ -= size;
  if (left_ == 0) state_ = State::kDone;
}

std::string Http1Body::take() {
  body_.resize(filled_);
  filled_ = 0;
  return std::move(body_);
}

size_t Http1Body::feed_chunked(std::string_view data) {
  size_t used = 0;
  while (used < data.size() && state_ == State::kMore) {
    const std::string_view rest = data.substr(used);
    switch (step_) {
      case Step::kSize: used += feed_line(rest); break;
      case Step::kExtension: used += feed_extension(rest); break;
      case Step::kData:
        used += take_data(rest);
        if (left_ == 0) step_ = Step::kDataEnd;
        break;
      case Step::kDataEnd: used += feed_data_end(rest); break;
      case Step::kTrailer: used += feed_trailer(rest); break;
      case Step::kLength: break;
    }
  }
  return used;
}

size_t Http1Body::feed_line(std::string_view data) {
  size_t used = 0;
  for (; used < data.size(); ++used) {
    const int digit = cr_seen_ ? -1 : base::hex_value(data[used]);
    if (digit < 0) break;
    if (++digits_ > kMaxSizeDigits) return fail(400, "A chunk size has too many digits."), used;
    left_ = left_ * 16 + static_cast<unsigned>(digit);
  }
  if (used == data.size()) return used;
  const char c = data[used];
  if (cr_seen_ && c == '\n') {
    end_size_line();
  } else if (!cr_seen_ && digits_ > 0 && c == '\r') {
    cr_seen_ = true;
  } else if (!cr_seen_ && digits_ > 0 && c == ';') {
    step_ = Step::kExtension;
    side_bytes_ = 0;
  } else {
    fail(400, "Expected a chunk size in hexadecimal and CRLF.");
  }
  return used + 1;
}

// Read over. A CR or LF inside is refused, so that nobody reads another end of this line.
size_t Http1Body::feed_extension(std::string_view data) {
  for (size_t used = 0; used < data.size(); ++used) {
    const char c = data[used];
    if (cr_seen_) {
      if (c != '\n') return fail(400, "A chunk extension must end in CRLF."), used;
      end_size_line();
      return used + 1;
    }
    if (c == '\r') {
      cr_seen_ = true;
    } else if (c == '\n' || c == '\0') {
      return fail(400, "A chunk extension must end in CRLF."), used;
    } else if (++side_bytes_ > kMaxExtensionBytes) {
      return fail(400, fmt::format("Chunk extensions are limited to {} bytes.", kMaxExtensionBytes)), used;
    }
  }
  return data.size();
}

void Http1Body::end_size_line() {
  cr_seen_ = false;
  digits_ = 0;
  if (left_ > max_body_bytes_ - filled_)
    return fail(413, fmt::format("The request body is larger than {} bytes.", max_body_bytes_));
  step_ = left_ == 0 ? Step::kTrailer : Step::kData;
  side_bytes_ = 0;
  line_bytes_ = 0;
}

size_t Http1Body::feed_data_end(std::string_view data) {
  const char expected = cr_seen_ ? '\n' : '\r';
  if (data.front() != expected) return fail(400, "Expected CRLF behind the data of a chunk."), 0;
  if (cr_seen_) step_ = Step::kSize;
  cr_seen_ = !cr_seen_;
  return 1;
}

// Trailers are read over: nothing here may depend on a field that comes behind the body (RFC 9110 6.5.1).
size_t Http1Body::feed_trailer(std::string_view data) {
  for (size_t used = 0; used < data.size(); ++used) {
    const char c = data[used];
    if (cr_seen_) {
      if (c != '\n') return fail(400, "A trailer line must end in CRLF."), used;
      cr_seen_ = false;
      if (line_bytes_ == 0) {
        state_ = State::kDone;
        return used + 1;
      }
      line_bytes_ = 0;
    } else if (c == '\r') {
      cr_seen_ = true;
    } else if (c == '\n' || c == '\0') {
      return fail(400, "A trailer line must end in CRLF."), used;
    } else {
      ++line_bytes_;
      if (++side_bytes_ > kMaxTrailerBytes)
        return fail(431, fmt::format("Trailers are limited to {} bytes.", kMaxTrailerBytes)), used;
    }
  }
  return data.size();
}

}  // namespace payonce::net
