#include "payonce/remote.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <memory>

#include "base/ascii.h"
#include "base/env.h"
#include "dashboard/guard.h"
#include "net/client.h"
#include "net/event_loop.h"
#include "payonce/instance.h"

namespace payonce {
namespace {

std::string variable(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

class Collected final : public net::ResponseSink {
 public:
  explicit Collected(net::EventLoop& loop) : loop_(loop) {}
  void on_head(net::ResponseHead head) override { status = head.status; }
  void on_data(base::Bytes chunk) override { body += chunk.view(); }
  void on_end() override { loop_.stop(); }
  void on_error(base::Error failure, bool) override {
    error = std::move(failure.message);
    loop_.stop();
  }
  int status = 0;
  std::string body, error;

 private:
  net::EventLoop& loop_;
};

// The "message" of an error body, or all of it. No other server is taken for an instance.
std::string message_of(const std::string& body) {
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse(body, error);
  if (error) return "not an answer of Payonce's; is this the URL of an instance?";
  const boost::json::value* message = value.find_pointer("/error/message", error);
  return message != nullptr && message->is_string() ? std::string(message->get_string()) : body;
}

}  // namespace

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = base::is_alphanumeric(c) || std::string_view("-_.~:*").find(c) != std::string_view::npos;
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string address_of(const Remote& remote) {
  std::string url = remote.url.empty() ? variable("PAYONCE_URL") : remote.url;
  return url.empty() ? "http://127.0.0.1:4141" : url;
}

base::Result<std::string> call(const Remote& remote, std::string_view method, const std::string& target,
                               std::string body) {
  const std::string url = address_of(remote);
  std::string prefix;
  PAYONCE_TRY(const net::Origin origin, net::Origin::parse(url, &prefix));
  std::string token = remote.token.empty() ? variable("PAYONCE_ADMIN_TOKEN") : remote.token;
  base::PosixEnv files;
  // This user's instance listens here: another host, who has the same port, is not told its token.
  if (token.empty() && dashboard::is_loopback(origin.host))
    token = base::read_file(files, admin_token_path(origin.port)).value_or("");

  net::EventLoop loop;
  const auto answer = std::make_shared<Collected>(loop);
  {
    net::Client client(loop, {});
    net::RequestHead head{.method = std::string(method), .target = target};
    if (!token.empty()) head.headers.add("Authorization", "Bearer " + token);
    if (!body.empty()) head.headers.add("Content-Type", "application/json");
    (void)client.send(origin, std::move(head), base::Bytes(std::move(body)),
                      {.connect_ms = 3'000, .first_byte_ms = remote.timeout_ms, .idle_ms = remote.timeout_ms},
                      answer);
    loop.run();
  }
  if (!answer->error.empty())
    return base::fail(
        base::Code::kUnavailable,
        fmt::format("no Payonce at {} ({}); start one with `payonce serve`, or set PAYONCE_URL", url, answer->error));
  if (answer->status != 200)
    return base::fail(base::Code::kInvalid,
                      fmt::format("{} says {}: {}", url, answer->status, message_of(answer->body)));
  return std::move(answer->body);
}

}  // namespace payonce
