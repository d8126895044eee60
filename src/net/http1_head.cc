#include "net/http1_head.h"

#include <fmt/format.h>

#include <boost/beast/http/basic_parser.hpp>
#include <string>
#include <vector>

#include "base/find_any.h"
#include "net/field_list.h"

namespace payonce::net {
namespace {

namespace http = boost::beast::http;
using boost::beast::error_code;
using boost::beast::string_view;

tl::unexpected<HttpError> refuse(int status, std::string message) {
  return tl::unexpected<HttpError>(HttpError{.status = status, .message = std::move(message), .target = {}});
}

// Beast calls these with views into the head.
class FieldCollector final : public http::basic_parser<true> {
 public:
  explicit FieldCollector(size_t max_header_count) : max_header_count_(max_header_count) {}

  Http1Head out;
  int version = 0;  // 10, 11
  std::vector<std::string_view> hosts;
  std::vector<std::string_view> content_lengths;
  std::vector<std::string_view> transfer_encodings;
  std::vector<std::string_view> connections;
  std::string_view expect;
  bool too_many = false;

 private:
  void on_request_impl(http::verb, string_view method, string_view target, int http_version, error_code&) override {
    out.request.method = method;
    out.request.target = target;
    version = http_version;
  }
  void on_field_impl(http::field field, string_view name, string_view value, error_code& error) override {
    if (++header_count_ > max_header_count_) {
      too_many = true;
      error = http::error::header_limit;
      return;
    }
    switch (field) {
      case http::field::host: hosts.push_back(value); return;
      case http::field::content_length: content_lengths.push_back(value); return;
      case http::field::transfer_encoding: transfer_encodings.push_back(value); return;
      case http::field::connection: connections.push_back(value); return;
      case http::field::expect: expect = value; return;
      case http::field::keep_alive:
      case http::field::proxy_connection:
      case http::field::te:
      case http::field::trailer:
      case http::field::upgrade: return;
      default: out.request.headers.add(name, value);
    }
  }
  void on_header_impl(error_code&) override {}
  void on_response_impl(int, string_view, int, error_code&) override {}
  void on_body_init_impl(const boost::optional<uint64_t>&, error_code&) override {}
  size_t on_body_impl(string_view, error_code&) override { return 0; }
  void on_chunk_header_impl(uint64_t, string_view, error_code&) override {}
  size_t on_chunk_body_impl(uint64_t, string_view, error_code&) override { return 0; }
  void on_finish_impl(error_code&) override {}

  size_t max_header_count_;
  size_t header_count_ = 0;
};

using Refusal = std::optional<HttpError>;
Refusal refusal(int status, std::string message) {
  return HttpError{.status = status, .message = std::move(message), .target = {}};
}

// "https://host/path" becomes authority and "/path" (RFC 9112 3.2.2).
Refusal read_target(Http1Head& head) {
  std::string& target = head.request.target;
  if (target.starts_with('/')) return std::nullopt;
  const size_t scheme = target.find("://");
  const bool absolute = scheme != std::string::npos && (equals_ignoring_case(target.substr(0, scheme), "http") ||
                                                        equals_ignoring_case(target.substr(0, scheme), "https"));
  if (!absolute) return refusal(400, "The request target must be a path that starts with '/', or an http(s) URL.");
  const size_t path = target.find_first_of("/?", scheme + 3);
  head.request.authority = target.substr(scheme + 3, path == std::string::npos ? path : path - scheme - 3);
  if (head.request.authority.empty()) return refusal(400, "The request target names no host.");
  std::string rest = path == std::string::npos ? "/" : target.substr(path);
  target = rest.starts_with('/') ? std::move(rest) : "/" + rest;
  return std::nullopt;
}

Refusal read_host(const FieldCollector& fields, Http1Head& head) {
  if (fields.hosts.size() > 1) return refusal(400, "Expected one Host header, found several.");
  if (fields.hosts.empty()) {
    if (fields.version == 11) return refusal(400, "HTTP/1.1 requests need a Host header.");
    return std::nullopt;
  }
  if (base::find_any<' ', '\t', '/', '\\', '?', '#', '@', ','>(fields.hosts[0]) != std::string_view::npos)
    return refusal(400, "The Host header must be a host name or address, with an optional port.");
  if (head.request.authority.empty()) head.request.authority = fields.hosts[0];
  return std::nullopt;
}

// RFC 9112 6.1 and 6.3: the one place that decides where the body ends.
Refusal read_framing(const FieldCollector& fields, Http1Head& head) {
  if (!fields.transfer_encodings.empty()) {
    if (!fields.content_lengths.empty())
      return refusal(400, "A request must not have both Content-Length and Transfer-Encoding.");
    if (fields.version != 11) return refusal(400, "Transfer-Encoding needs HTTP/1.1.");
    if (fields.transfer_encodings.size() > 1 || !equals_ignoring_case(fields.transfer_encodings[0], "chunked"))
      return refusal(501, "The only Transfer-Encoding understood here is 'chunked'.");
    head.chunked = true;
  }
  for (const std::string_view text : fields.content_lengths) {
    const auto length = parse_decimal(text);
    if (!length) return refusal(400, "Content-Length must be a decimal number of bytes.");
    if (head.content_length && *head.content_length != *length)
      return refusal(400, "Several Content-Length headers differ.");
    head.content_length = *length;
  }
  return std::nullopt;
}

// RFC 9110 7.6.1: no field that is meant for all recipients may be named there. A proxy in front adds such fields for
// the caller (who asks, in which scope); a caller whose Connection it hands on could take them away.
bool is_for_all(std::string_view name) {
  constexpr std::string_view kOurs = "x-payonce-";
  if (name.size() >= kOurs.size() && equals_ignoring_case(name.substr(0, kOurs.size()), kOurs)) return true;
  for (const std::string_view known :
       {"authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "cache-control", "content-type",
        "content-encoding", "x-forwarded-for", "forwarded", "x-real-ip", "via", "origin", "sec-fetch-site"})
    if (equals_ignoring_case(name, known)) return true;
  return false;
}

// Connection: options, and names of fields that end with this hop (RFC 9110 7.6.1).
Refusal read_connection(const FieldCollector& fields, Http1Head& head) {
  head.keep_alive = fields.version == 11;
  bool close = false;
  Refusal refused;
  for (const std::string_view list : fields.connections) {
    for_each_item(list, [&](std::string_view option) {
      if (equals_ignoring_case(option, "close"))
        close = true;
      else if (equals_ignoring_case(option, "keep-alive"))
        head.keep_alive = true;
      else if (is_for_all(option))
        refused = refusal(400, fmt::format("Connection must not name the field {}.", option));
      else
        head.request.headers.remove(option);
    });
  }
  if (close) head.keep_alive = false;
  return refused;
}

Refusal check(const FieldCollector& fields, Http1Head& head) {
  if (fields.version != 10 && fields.version != 11)
    return refusal(505, "Expected HTTP/1.0 or HTTP/1.1 in the request line.");
  head.minor_version = fields.version - 10;
  if (auto refused = read_target(head)) return refused;
  if (auto refused = read_host(fields, head)) return refused;
  if (auto refused = read_framing(fields, head)) return refused;
  if (auto refused = read_connection(fields, head)) return refused;
  if (!fields.expect.empty() && fields.version == 11) {
    if (!equals_ignoring_case(fields.expect, "100-continue"))
      return refusal(417, "The only Expect understood here is '100-continue'.");
    head.expects_continue = true;
  }
  return std::nullopt;
}

// A line that starts with white space continues the one before (obs-fold) for some readers, and not for others.
bool has_folded_line(std::string_view head) {
  for (size_t at = head.find('\n'); at != std::string_view::npos && at + 1 < head.size();
       at = head.find('\n', at + 1))
    if (head[at + 1] == ' ' || head[at + 1] == '\t') return true;
  return false;
}

}  // namespace

HeadEnd find_head_end(std::string_view data, size_t& position) {
  // `position` is always the start of a line, so that the bytes of a line that comes in pieces are looked at again,
  // no more.
  while (true) {
    const size_t end = data.find('\n', position);
    if (end == std::string_view::npos) return HeadEnd::kMore;
    if (end == 0 || data[end - 1] != '\r') return HeadEnd::kBareLf;
    const bool empty_line = end == position + 1;
    position = end + 1;
    if (empty_line) return HeadEnd::kFound;
  }
}

tl::expected<Http1Head, HttpError> parse_http1_head(std::string_view head, const Limits& limits) {
  if (has_folded_line(head))
    return refuse(400, "Header lines must not start with white space (obsolete line folding).");
  FieldCollector fields(limits.max_header_count);
  fields.header_limit(static_cast<uint32_t>(head.size() + 1));  // our own limit was checked before
  fields.body_limit(boost::none);
  error_code error;
  fields.put(boost::asio::buffer(head), error);
  Http1Head& out = fields.out;
  const auto refuse_with_target = [&](HttpError refused) {
    if (out.request.target.starts_with('/')) refused.target = out.request.target;
    return tl::unexpected<HttpError>(std::move(refused));
  };
  if (fields.too_many)
    return refuse_with_target({431, fmt::format("More than {} header lines.", limits.max_header_count), {}});
  // Beast refuses bad framing too; our messages say more, so they come first where the fields were read.
  if (auto refused = error && error != http::error::bad_content_length && error != http::error::bad_transfer_encoding
                         ? refusal(error == http::error::bad_version ? 505 : 400,
                                   fmt::format("The request head is not valid HTTP/1.1: {}.", error.message()))
                         : check(fields, out))
    return refuse_with_target(std::move(*refused));
  if (error) return refuse_with_target({400, "The request's framing headers are not valid.", {}});
  return std::move(out);
}

}  // namespace payonce::net
