// What the server's HTTP/1.1 and HTTP/2 halves share about answers: errors, reason phrases, dates, fields that belong
// to the connection.  Threads: free functions any; DateLine one loop.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace payonce::net {

// A request that the server answers itself.
struct HttpError {
  int status = 400;
  std::string message;  // what was expected, what was found, what to do
  std::string target;   // empty when the request line could not be read
};

std::string_view reason_phrase(int status);  // RFC 9110 15; "Unknown" for others

// Fields of the connection, not of the message: a handler neither sees nor sets them (RFC 9110 7.6.1, RFC
// 9113 8.2.2).
bool is_connection_field(std::string_view name);

// An answer that never has a body (RFC 9110 6.4.1).
constexpr bool has_no_body(int status) { return status < 200 || status == 204 || status == 304; }

// A non-negative decimal of digits alone; nullopt for anything else and for overflow.
std::optional<uint64_t> parse_decimal(std::string_view text);

// "Tue, 15 Nov 1994 08:12:31 GMT" of now (RFC 9110 5.6.7), formatted once per second.
class HttpDate {
 public:
  std::string_view now();

 private:
  time_t second_ = 0;
  std::string text_;
};

}  // namespace payonce::net
