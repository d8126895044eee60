#include "net/response_framing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include "base/ascii.h"
#include "net/chunked.h"
#include "net/field_list.h"

namespace payonce::net {
namespace {

constexpr size_t kMaxChunkLineBytes = 4096;  // size and extensions

base::Error bad_framing(std::string_view why) {
  return {base::Code::kUnavailable, fmt::format("bad framing: {}", why)};
}

bool names(std::string_view list, std::string_view name) {
  return any_item(list, [&](std::string_view item) { return equals_ignoring_case(item, name); });
}

base::Result<uint64_t> content_length(const Headers& raw) {
  std::string_view text = trim(*raw.get("Content-Length"));
  bool same = true;
  raw.for_each([&](std::string_view name, std::string_view value) {
    if (equals_ignoring_case(name, "Content-Length")) same = same && trim(value) == text;
  });
  if (!same) return base::fail(bad_framing("several Content-Length fields that differ"));
  uint64_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  if (error != std::errc{} || end != text.data() + text.size())
    return base::fail(bad_framing(fmt::format("Content-Length '{}' is no number", text)));
  return size;
}

}  // namespace

BodyDecoder BodyDecoder::with_length(uint64_t size) {
  BodyDecoder decoder(size == 0 ? State::kDone : State::kLength);
  decoder.size_ = decoder.remaining_ = size;
  return decoder;
}

BodyDecoder BodyDecoder::chunked() { return BodyDecoder(State::kChunkSize); }

BodyDecoder BodyDecoder::until_close() { return BodyDecoder(State::kUntilClose); }

base::Result<BodyDecoder::Step> BodyDecoder::next(std::string_view input) {
  Step step;
  while (step.consumed < input.size() && state_ != State::kDone) {
    if (state_ != State::kLength && state_ != State::kUntilClose && state_ != State::kChunkData) {
      PAYONCE_CHECK_OK(take_framing(input[step.consumed++]));
      continue;
    }
    step.data = input.substr(step.consumed);
    if (state_ != State::kUntilClose) {
      step.data = step.data.substr(0, static_cast<size_t>(std::min<uint64_t>(remaining_, step.data.size())));
      remaining_ -= step.data.size();
      if (remaining_ == 0) state_ = state_ == State::kLength ? State::kDone : State::kChunkDataCr;
    }
    step.consumed += step.data.size();
    received_ += step.data.size();
    break;
  }
  return step;
}

base::Status BodyDecoder::expect(char found, char expected, State next_state) {
  if (found != expected) return base::fail(bad_framing("CRLF expected in the chunked coding"));
  state_ = next_state;
  return {};
}

base::Status BodyDecoder::take_size(char c) {
  if (const int digit = base::hex_value(c); digit >= 0) {
    if (++size_digits_ > kMaxSizeDigits) return base::fail(bad_framing("the chunk size has too many digits"));
    remaining_ = remaining_ * 16 + static_cast<uint64_t>(digit);
    return {};
  }
  if (size_digits_ == 0) return base::fail(bad_framing("the chunk size is no hexadecimal number"));
  if (c == '\r')
    state_ = State::kChunkSizeLf;
  else if (c == ';')
    state_ = State::kChunkExtension;
  else if (c == ' ' || c == '\t')
    state_ = State::kChunkSpace;
  else
    return base::fail(bad_framing("the chunk size is no hexadecimal number"));
  return {};
}

base::Status BodyDecoder::take_framing(char c) {
  const bool trailer = state_ >= State::kTrailerStart;
  if (++overhead_bytes_ > (trailer ? kMaxTrailerBytes : kMaxChunkLineBytes))
    return base::fail(bad_framing(trailer ? "the trailers are too long" : "the chunk line is too long"));
  switch (state_) {
    case State::kChunkSize: return take_size(c);
    case State::kChunkSpace:  // RFC 9112 7.1.1: bad white space before an extension is read over
      if (c == ' ' || c == '\t') return {};
      if (c == '\r') return expect(c, '\r', State::kChunkSizeLf);
      return expect(c, ';', State::kChunkExtension);
    case State::kChunkExtension:
      if (c == '\n') return base::fail(bad_framing("a bare LF ends a chunk line"));
      if (c == '\r') state_ = State::kChunkSizeLf;
      return {};
    case State::kChunkSizeLf:
      overhead_bytes_ = 0;
      return expect(c, '\n', remaining_ == 0 ? State::kTrailerStart : State::kChunkData);
    case State::kChunkDataCr: return expect(c, '\r', State::kChunkDataLf);
    case State::kChunkDataLf: overhead_bytes_ = size_digits_ = 0; return expect(c, '\n', State::kChunkSize);
    case State::kTrailerStart:
      state_ = c == '\r' ? State::kEndLf : State::kTrailer;
      return c == '\n' ? base::Status(base::fail(bad_framing("a bare LF ends the trailers"))) : base::Status();
    case State::kTrailer:
      if (c == '\n') return base::fail(bad_framing("a bare LF ends a trailer"));
      if (c == '\r') state_ = State::kTrailerLf;
      return {};
    case State::kTrailerLf: return expect(c, '\n', State::kTrailerStart);
    case State::kEndLf: return expect(c, '\n', State::kDone);
    default: return base::fail(bad_framing("the decoder is in no framing state"));
  }
}

base::Status BodyDecoder::at_eof() const {
  if (state_ == State::kUntilClose || state_ == State::kDone) return {};
  if (state_ == State::kLength)
    return base::fail(base::Code::kUnavailable,
                      fmt::format("upstream closed after {} of {} bytes", received_, size_));
  return base::fail(base::Code::kUnavailable,
                    fmt::format("upstream closed after {} bytes, before the last chunk", received_));
}

base::Result<BodyDecoder> response_body(std::string_view request_method, int status, const Headers& raw) {
  const bool has_length = raw.count("Content-Length") > 0;
  const bool has_coding = raw.count("Transfer-Encoding") > 0;
  if (has_length && has_coding)
    return base::fail(bad_framing("both Content-Length and Transfer-Encoding; which one holds cannot be known"));
  if (request_method == "HEAD" || status < 200 || status == 204 || status == 304) return BodyDecoder::none();
  if (has_coding) {
    const std::string coding = raw.joined("Transfer-Encoding");
    if (!equals_ignoring_case(trim(coding), "chunked"))
      return base::fail(bad_framing(fmt::format("Transfer-Encoding '{}'; only chunked is known", coding)));
    return BodyDecoder::chunked();
  }
  if (!has_length) return BodyDecoder::until_close();
  PAYONCE_TRY(const uint64_t size, content_length(raw));
  return BodyDecoder::with_length(size);
}

bool keeps_alive(bool http_1_1, const Headers& raw) { return http_1_1 && !names(raw.joined("Connection"), "close"); }

Headers end_to_end_fields(const Headers& raw) {
  static constexpr std::array<std::string_view, 9> kOfTheHop = {
      "Connection",        "Keep-Alive",     "Proxy-Connection", "TE",  "Trailer",
      "Transfer-Encoding", "Content-Length", "Upgrade",          "Date"};
  const std::string named = raw.joined("Connection");
  Headers kept;
  kept.reserve(raw.lines().size());
  raw.for_each([&](std::string_view name, std::string_view value) {
    const bool of_the_hop = std::any_of(kOfTheHop.begin(), kOfTheHop.end(),
                                        [&](std::string_view field) { return equals_ignoring_case(field, name); });
    if (!of_the_hop && !names(named, name)) kept.add(name, value);
  });
  return kept;
}

}  // namespace payonce::net
