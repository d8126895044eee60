// What HTTP/1.1 and TLS share: streamed answers, clients that leave, drain, ports.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <boost/asio/read.hpp>
#include <boost/asio/ssl.hpp>
#include <cstdio>
#include <filesystem>

#include "net/server_test_client.h"

namespace payonce::net {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr std::string_view kGetRoot = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

TEST(Server, StreamsChunksOfOneTurnTogetherAndEndsThem) {
  TestServer server([](const std::shared_ptr<Exchange>& exchange) {
    exchange->start(text_head());
    exchange->write(base::Bytes::unowned("hello "));
    exchange->write({});  // an empty chunk would end the answer
    exchange->loop().post([exchange] {
      exchange->write(base::Bytes(std::string(3000, 'x')));
      exchange->finish();
      exchange->write(base::Bytes::unowned("after the end"));
    });
  });
  TestClient client(server.port());
  for (int i = 0; i < 2; ++i) {
    client.send(kGetRoot);
    EXPECT_THAT(client.read_until("\r\n\r\n"), HasSubstr("Transfer-Encoding: chunked\r\n"));
    EXPECT_EQ(client.read_until("0\r\n\r\n"), "6\r\nhello \r\nbb8\r\n" + std::string(3000, 'x') + "\r\n0\r\n\r\n");
  }
}

TEST(Server, AStreamOfKnownLengthIsFramedByIt) {
  TestServer server([](const std::shared_ptr<Exchange>& exchange) {
    exchange->start(text_head(), 4);
    exchange->write(base::Bytes::unowned("1234"));
    exchange->finish();
  });
  TestClient client(server.port());
  const std::string answer = client.ask(kGetRoot);
  EXPECT_THAT(answer, EndsWith("\r\n\r\n1234"));
  EXPECT_THAT(answer, Not(HasSubstr("chunked")));
}

TEST(Server, AnAbortedAnswerIsNotComplete) {
  TestServer server([](const std::shared_ptr<Exchange>& exchange) {
    const std::string& target = exchange->head().target;
    if (target == "/at-once") return exchange->abort();
    exchange->start(text_head(), target == "/short" ? std::optional<uint64_t>(100) : std::nullopt);
    exchange->write(base::Bytes::unowned("part"));
    if (target == "/dropped") return;
    target == "/short" ? exchange->finish() : exchange->abort();
  });
  const auto ask = [&](const std::string& target, const std::string& version = "1.1") {
    TestClient client(server.port());
    client.send("GET " + target + " HTTP/" + version + "\r\nHost: x\r\n\r\n");
    std::string answer = client.read_all();
    return std::pair(answer, client.was_reset());
  };
  for (const char* target : {"/abort", "/dropped", "/short"}) {
    const auto [answer, reset] = ask(target);
    EXPECT_THAT(answer, HasSubstr("part")) << target;
    EXPECT_THAT(answer, Not(HasSubstr("0\r\n\r\n"))) << target;
  }
  EXPECT_EQ(ask("/at-once").first, "");
  EXPECT_TRUE(ask("/abort", "1.0").second) << "an end would look like a complete answer";
}

TEST(Server, AnExchangeThatIsDroppedUnansweredIsA500) {
  TestServer server([](const std::shared_ptr<Exchange>& exchange) {
    if (exchange->head().target == "/throw") throw std::runtime_error("broken");
    if (exchange->head().target == "/later") exchange->loop().post([exchange] {});
  });
  TestClient client(server.port());
  for (const char* target : {"/now", "/later", "/throw"})
    EXPECT_THAT(client.ask("GET " + std::string(target) + " HTTP/1.1\r\nHost: x\r\n\r\n"),
                StartsWith("HTTP/1.1 500 "));
}

TEST(Server, TellsWhenTheClientLeavesBeforeItsAnswer) {
  std::promise<void> arrived, closed;
  std::shared_ptr<Exchange> held;
  TestServer server([&](const std::shared_ptr<Exchange>& exchange) {
    held = exchange;
    exchange->on_closed = [&] {
      held->write(base::Bytes::unowned("nobody reads this"));
      held->finish();
      held.reset();
      closed.set_value();
    };
    if (exchange->head().target == "/stream") exchange->start(text_head());
    arrived.set_value();
  });
  for (const char* target : {"/", "/stream"}) {
    arrived = {};
    closed = {};
    TestClient client(server.port());
    client.send("GET " + std::string(target) + " HTTP/1.1\r\nHost: x\r\n\r\n");
    arrived.get_future().wait();
    client.send("GET /next HTTP/1.1\r\n");  // does not hide the end
    client.close();
    closed.get_future().wait();
  }
}

TEST(Server, PausesAtHighWaterAndGoesOnAtLowWater) {
  constexpr size_t kTotal = 40u << 20;
  size_t most = 0;
  Server::Options options;
  options.limits.write_high_water_bytes = 200'000;
  options.limits.write_low_water_bytes = 100'000;
  TestServer server(
      [&](const std::shared_ptr<Exchange>& exchange) {
        auto left = std::make_shared<size_t>(kTotal);
        exchange->start(text_head(), kTotal);
        const auto fill = [&most, exchange, left] {
          while (*left > 0 && exchange->unsent_bytes() <= 200'000) {
            exchange->write(base::Bytes(std::string(65536, 'x')));
            *left -= 65536;
            most = std::max(most, exchange->unsent_bytes());
          }
          if (*left > 0) return;
          exchange->on_drained = nullptr;
          exchange->finish();
        };
        exchange->on_drained = fill;
        fill();
      },
      options);
  TestClient client(server.port());
  const std::string answer = client.ask(kGetRoot);
  EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, kTotal);
  EXPECT_LT(most, 300'000u);
}

TEST(Server, CutsAClientThatDoesNotRead) {
  std::promise<void> closed;
  Server::Options options;
  options.limits.write_stall_timeout_ms = 60;
  TestServer server(
      [&](const std::shared_ptr<Exchange>& exchange) {
        exchange->on_closed = [&closed, exchange] {
          exchange->on_closed = nullptr;
          closed.set_value();
        };
        exchange->start(text_head());
        exchange->write(base::Bytes(std::string(64u << 20, 'x')));
      },
      options);
  TestClient client(server.port());
  client.send(kGetRoot);
  closed.get_future().wait();
}

TEST(Server, DrainFinishesAnswersAndClosesIdleConnections) {
  std::promise<std::shared_ptr<Exchange>> arrived;
  TestServer server(
      [&](const std::shared_ptr<Exchange>& exchange) {
        if (exchange->head().target == "/") return echo(exchange);
        arrived.set_value(exchange);
      },
      {}, 2);
  TestClient idle(server.port()), busy(server.port());
  idle.ask(kGetRoot);
  busy.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
  auto exchange = arrived.get_future().get();
  auto done = server.drain(60'000);
  EXPECT_EQ(idle.read_all(), "");
  EXPECT_EQ(done.wait_for(std::chrono::milliseconds(0)), std::future_status::timeout);
  EventLoop& loop = exchange->loop();
  loop.post([exchange = std::move(exchange)] { echo(exchange); });
  EXPECT_THAT(busy.read_all(), HasSubstr("Connection: close\r\n"));
  done.wait();
  boost::asio::io_context context;
  boost::asio::ip::tcp::socket late(context);
  boost::system::error_code refused;
  late.connect({boost::asio::ip::make_address("127.0.0.1"), server.port()}, refused);
  EXPECT_TRUE(refused);
}

TEST(Server, DrainCutsWhatIsLeftAtItsDeadline) {
  std::promise<void> arrived, closed;
  TestServer server([&](const std::shared_ptr<Exchange>& exchange) {
    exchange->on_closed = [&closed, exchange] {
      exchange->on_closed = nullptr;
      closed.set_value();
    };
    arrived.set_value();
  });
  TestClient client(server.port());
  client.send(kGetRoot);
  arrived.get_future().wait();
  server.drain(50).wait();
  closed.get_future().wait();
  EXPECT_EQ(client.read_all(), "");
}

TEST(Server, SaysWhichAddressCannotBeUsedAndWhatToDo) {
  TestServer first(echo);
  EventLoops loops(1);
  Server::Options options;
  options.port = first.port();
  const auto taken = Server(loops, options, echo).start();
  ASSERT_FALSE(taken);
  EXPECT_THAT(taken.error().message, HasSubstr("127.0.0.1:" + std::to_string(first.port())));
  EXPECT_THAT(taken.error().message, HasSubstr("--listen"));
  options.address = "203.0.113.1";
  EXPECT_THAT(Server(loops, options, echo).start().error().message, HasSubstr("no network interface"));
  options.address = "not a host";
  EXPECT_THAT(Server(loops, options, echo).start().error().message, HasSubstr("not a host"));
}

TEST(Server, TurnsClientsAwayOverItsLimitOfConnections) {
  Server::Options options;
  options.limits.max_connections = 1;
  TestServer server(echo, options);
  TestClient first(server.port());
  EXPECT_THAT(first.ask(kGetRoot), StartsWith("HTTP/1.1 200 "));
  TestClient second(server.port());
  second.send(kGetRoot);
  EXPECT_EQ(second.read_all(), "");
  EXPECT_THAT(first.ask(kGetRoot), StartsWith("HTTP/1.1 200 "));
}

// A key and a certificate for 127.0.0.1, in files that go with this object.
class SelfSigned {
 public:
  SelfSigned() : folder_(std::filesystem::path(testing::TempDir()) / ("payonce_tls_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("127.0.0.1"), -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_sign(certificate, key, EVP_sha256());
    FILE* out = std::fopen(tls().key_file.c_str(), "w");
    PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(out);
    out = std::fopen(tls().certificate_file.c_str(), "w");
    PEM_write_X509(out, certificate);
    std::fclose(out);
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  ~SelfSigned() { std::filesystem::remove_all(folder_); }
  ServerTls tls() const { return {(folder_ / "cert.pem").string(), (folder_ / "key.pem").string(), true}; }

 private:
  std::filesystem::path folder_;
};

TEST(Server, ServesTls) {
  const SelfSigned files;
  Server::Options options;
  options.tls = files.tls();
  TestServer server(
      [](const std::shared_ptr<Exchange>& exchange) { exchange->respond(text_head(), exchange->body()); }, options);
  boost::asio::io_context context;
  boost::asio::ssl::context tls(boost::asio::ssl::context::tls_client);
  boost::asio::ssl::stream<boost::asio::ip::tcp::socket> stream(context, tls);
  stream.next_layer().connect({boost::asio::ip::make_address("127.0.0.1"), server.port()});
  stream.handshake(boost::asio::ssl::stream_base::client);
  const std::string body(1'000'000, 'b');
  for (int i = 0; i < 2; ++i) {
    std::thread sender([&] {
      boost::asio::write(stream,
                         boost::asio::buffer("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + body));
    });
    sender.join();  // the server reads all of it before it answers
    std::string answer(1 << 21, '\0');
    size_t size = 0;
    while (answer.find("\r\n\r\n") == std::string::npos || size < body.size() + answer.find("\r\n\r\n") + 4)
      size += stream.read_some(boost::asio::buffer(answer.data() + size, answer.size() - size));
    answer.resize(size);
    EXPECT_THAT(answer.substr(0, 20), StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_TRUE(answer.ends_with("\r\n\r\n" + body));
  }
}

TEST(Server, TlsClientsChooseHttp2ByAlpn) {
  const SelfSigned files;
  Server::Options options;
  options.tls = files.tls();
  TestServer server(echo, options);
  boost::asio::io_context context;
  boost::asio::ssl::context tls(boost::asio::ssl::context::tls_client);
  SSL_CTX_set_alpn_protos(tls.native_handle(), reinterpret_cast<const unsigned char*>("\x02h2"), 3);
  boost::asio::ssl::stream<boost::asio::ip::tcp::socket> stream(context, tls);
  stream.next_layer().connect({boost::asio::ip::make_address("127.0.0.1"), server.port()});
  stream.handshake(boost::asio::ssl::stream_base::client);
  std::string frame(9, '\0');
  boost::asio::read(stream, boost::asio::buffer(frame));
  EXPECT_EQ(frame[3], 4) << "the first frame is SETTINGS";
}

TEST(Server, EndsAHandshakeThatTakesTooLong) {
  const SelfSigned files;
  Server::Options options;
  options.tls = files.tls();
  options.limits.tls_handshake_timeout_ms = 60;
  TestServer server(echo, options);
  TestClient client(server.port());
  EXPECT_EQ(client.read_all(), "");
}

}  // namespace
}  // namespace payonce::net
