// What a client sends over its connection, HTTP/1.1 or HTTP/2 as its first bytes say: the server reads it to the end,
// hands over only requests within the limits, and what it writes is an answer. The first byte says how it answers.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>

#include "fuzz.h"
#include "net/http1_server_connection.h"

namespace {

using namespace payonce;

constexpr int kTurns = 64;  // of the loop, for one input

void answer(const std::shared_ptr<net::Exchange>& exchange, uint8_t how) {
  const std::string& target = exchange->head().target;
  PAYONCE_FUZZ_CHECK(target.starts_with('/') || target == "*");
  PAYONCE_FUZZ_CHECK(exchange->body().view().size() <= 4096);
  exchange->head().headers.for_each([](std::string_view name, std::string_view value) {
    PAYONCE_FUZZ_CHECK(!name.empty() && value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
  });
  if (how % 4 == 0) return;  // dropped: the connection answers
  if (how % 4 == 1) return exchange->respond({.status = 200, .headers = {}}, exchange->body());
  exchange->start({.status = 200, .headers = {}});
  exchange->write(base::Bytes(std::string("piece")));
  if (how % 4 == 2) return exchange->finish();
  exchange->abort();
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  static net::EventLoop loop;
  const auto shared = std::make_shared<net::ServerShared>();
  shared->options.limits.max_head_bytes = 2048;
  shared->options.limits.max_body_bytes = 4096;
  shared->options.limits.max_concurrent_streams = 4;
  shared->options.error = [](int, std::string_view, std::string_view) { return base::Bytes(std::string("{}")); };
  shared->handler = [how = data[0]](const std::shared_ptr<net::Exchange>& exchange) { answer(exchange, how); };

  int ends[2];
  PAYONCE_FUZZ_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
  const auto home = std::make_shared<net::ServerLoop>(loop, shared);
  net::ServerTransport::Socket socket(loop.context());
  socket.assign(boost::asio::ip::tcp::v4(), ends[1]);
  std::make_shared<net::Http1ServerConnection>(home, net::make_plain_transport(std::move(socket)))->start();

  std::string_view rest = fuzz::text(data + 1, size - 1);
  std::string out;
  char buffer[16'384];
  bool ended = false;
  for (int turn = 0; turn < kTurns && !ended; ++turn) {
    const ssize_t sent = ::send(ends[0], rest.data(), std::min<size_t>(rest.size(), 1500), MSG_NOSIGNAL);
    if (sent > 0) rest.remove_prefix(static_cast<size_t>(sent));
    if (rest.empty()) (void)::shutdown(ends[0], SHUT_WR);
    loop.context().poll();
    ssize_t got = 0;
    while ((got = ::recv(ends[0], buffer, sizeof buffer, 0)) > 0) out.append(buffer, static_cast<size_t>(got));
    ended = got == 0;
  }
  (void)::close(ends[0]);
  home->stop();
  loop.context().poll();
  PAYONCE_FUZZ_CHECK(shared->connections == 0);
  // A status line, or a frame of settings (RFC 9113 3.4).
  const bool http2 = out.size() > 8 && out[3] == 4;
  PAYONCE_FUZZ_CHECK(out.empty() || http2 || out.starts_with("HTTP/1.1 "));
  return 0;
}
