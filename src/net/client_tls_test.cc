#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <cstdio>
#include <filesystem>
#include <future>

#include "net/client_http2_test_peer.h"
#include "net/client_test_peers.h"

namespace payonce::net {
namespace {

using Socket = ScriptedServer::Socket;
using TlsStream = boost::asio::ssl::stream<Socket&>;

// A self-signed certificate for `names` ("DNS:…" or "IP:…") and its key, in two PEM files.
struct Certificate {
  std::string certificate_file;
  std::string key_file;

  Certificate(const std::string& file, const std::string& names) {
    const std::string stem = testing::TempDir() + "payonce_client_tls_test_" + std::to_string(getpid()) + file;
    certificate_file = stem + ".crt";
    key_file = stem + ".key";
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* made = X509_new();
    X509_set_version(made, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
    X509_gmtime_adj(X509_getm_notBefore(made), -3600);
    X509_gmtime_adj(X509_getm_notAfter(made), 3600);
    X509_set_pubkey(made, key);
    const auto* common_name = reinterpret_cast<const unsigned char*>("test");
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_ASC, common_name, -1, -1, 0);
    X509_set_issuer_name(made, X509_get_subject_name(made));
    add_extension(made, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(made, NID_subject_alt_name, names.c_str());
    X509_sign(made, key, EVP_sha256());
    std::FILE* out = std::fopen(certificate_file.c_str(), "w");
    PEM_write_X509(out, made);
    std::fclose(out);
    out = std::fopen(key_file.c_str(), "w");
    PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(out);
    X509_free(made);
    EVP_PKEY_free(key);
  }
  ~Certificate() {
    std::filesystem::remove(certificate_file);
    std::filesystem::remove(key_file);
  }
  static void add_extension(X509* certificate, int id, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }
};

class TlsClientTest : public ClientTest {
 protected:
  // Shakes hands as a server, then follows `script` on the decrypted stream.
  ScriptedServer::Script with_tls(const Certificate& own, std::function<void(TlsStream&)> script,
                                  bool http2 = false) {
    const auto context = *make_server_tls({own.certificate_file, own.key_file, http2});
    return [context, script](Socket& socket, int) {
      TlsStream stream(socket, *context);
      boost::system::error_code error;
      stream.handshake(TlsStream::server, error);
      if (!error) script(stream);
    };
  }
  static void answer_all(TlsStream& stream) {
    while (!ScriptedServer::read_request(stream).empty())
      ScriptedServer::write(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  }
  static Origin https(const ScriptedServer& server) {
    Origin origin = server.origin();
    origin.tls = true;
    return origin;
  }
  void trust(const Certificate& authority) {
    start_client({.tls = {.ca_file = authority.certificate_file}, .connections = {}});
  }

  Certificate certificate{"own", "IP:127.0.0.1"};
};

TEST_F(TlsClientTest, ACertificateOfTheCaFileIsGoodAndTheConnectionIsReused) {
  ScriptedServer server(with_tls(certificate, answer_all));
  trust(certificate);
  for (int i = 0; i < 3; ++i) {
    const auto sink = fetch(https(server), "POST", "x");
    EXPECT_EQ(sink->body, "ok") << sink->error.message;
  }
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(TlsClientTest, AnUnknownCertificateIsRefusedWithAHint) {
  ScriptedServer server(with_tls(certificate, answer_all));
  const auto sink = fetch(https(server));
  EXPECT_EQ(sink->error.code, base::Code::kUnavailable);
  EXPECT_NE(sink->error.message.find("certificate verify failed (self-signed certificate)"), std::string::npos)
      << sink->error.message;
  EXPECT_NE(sink->error.message.find("set `ca_file`"), std::string::npos) << sink->error.message;
  EXPECT_FALSE(sink->sent);
}

TEST_F(TlsClientTest, ACertificateForAnotherNameIsRefused) {
  const Certificate other("other", "DNS:example.com");
  ScriptedServer server(with_tls(other, answer_all));
  trust(other);
  Origin origin = https(server);
  auto sink = fetch(origin);
  EXPECT_NE(sink->error.message.find("IP address mismatch"), std::string::npos) << sink->error.message;
  EXPECT_NE(sink->error.message.find("use the name"), std::string::npos) << sink->error.message;
  origin.host = "localhost";
  sink = fetch(origin);
  EXPECT_NE(sink->error.message.find("hostname mismatch"), std::string::npos) << sink->error.message;
}

TEST_F(TlsClientTest, AHostNameIsSentAndVerified) {
  const Certificate local("local", "DNS:localhost");
  std::promise<std::string> name;
  ScriptedServer server(with_tls(local, [&](TlsStream& stream) {
    const char* sent = SSL_get_servername(stream.native_handle(), TLSEXT_NAMETYPE_host_name);
    name.set_value(sent == nullptr ? "" : sent);
    answer_all(stream);
  }));
  trust(local);
  Origin origin = https(server);
  origin.host = "localhost";
  const auto sink = fetch(origin);
  EXPECT_EQ(sink->body, "ok") << sink->error.message;
  EXPECT_EQ(name.get_future().get(), "localhost");
}

TEST_F(TlsClientTest, WithoutVerificationAnyCertificateWillDo) {
  ScriptedServer server(with_tls(certificate, answer_all));
  start_client({.tls = {.ca_file = {}, .verify = false}, .connections = {}});
  EXPECT_EQ(fetch(https(server))->body, "ok");
}

TEST_F(TlsClientTest, AMissingCaFileFailsEachHttpsCallWithItsName) {
  start_client({.tls = {.ca_file = "/nonexistent/ca.pem"}, .connections = {}});
  const auto sink = fetch({.tls = true, .host = "127.0.0.1", .port = 1});
  EXPECT_NE(sink->error.message.find("/nonexistent/ca.pem"), std::string::npos) << sink->error.message;
  EXPECT_FALSE(sink->sent);
}

TEST_F(TlsClientTest, AnUpstreamWithoutTlsIsNamedAsSuch) {
  ScriptedServer server(
      [](Socket& socket, int) { ScriptedServer::write(socket, "HTTP/1.1 400 Bad Request\r\n\r\n"); });
  const auto sink = fetch(https(server));
  EXPECT_NE(sink->error.message.find("does the upstream speak TLS"), std::string::npos) << sink->error.message;
}

TEST_F(TlsClientTest, AHandshakeThatHangsIsAConnectTimeout) {
  ScriptedServer server([](Socket& socket, int) { ScriptedServer::await_close(socket); });
  const auto sink = fetch(https(server), "GET", "", {.connect_ms = 20});
  EXPECT_EQ(sink->error.code, base::Code::kTimeout);
  EXPECT_NE(sink->error.message.find("no connection to"), std::string::npos) << sink->error.message;
  EXPECT_FALSE(sink->sent);
}

TEST_F(TlsClientTest, LargeBodiesTravelBothWaysWithPauses) {
  std::string large(5 << 20, 'a');
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>('a' + i * 7919 % 26);
  ScriptedServer server(with_tls(certificate, [](TlsStream& stream) {
    const std::string request = ScriptedServer::read_request(stream);
    const std::string body = request.substr(request.find("\r\n\r\n") + 4);
    ScriptedServer::write(stream,
                          "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    ScriptedServer::await_close(stream);
  }));
  trust(certificate);
  const auto sink = send(https(server), "POST", large);
  sink->when_data = [&] {  // at each piece: what stays in OpenSSL's buffers must not be forgotten
    call->pause();
    loop.post([&] { call->resume(); });
  };
  run_until([&] { return sink->over(); });
  EXPECT_TRUE(sink->body == large) << sink->error.message;
}

TEST_F(TlsClientTest, ABodyUntilCloseNeedsTheCloseOfTls) {
  std::atomic<int> connection = 0;
  ScriptedServer server(with_tls(certificate, [&](TlsStream& stream) {
    ScriptedServer::read_request(stream);
    ScriptedServer::write(stream, "HTTP/1.1 200 OK\r\n\r\nsome");
    boost::system::error_code ignored;
    if (connection++ > 0) stream.shutdown(ignored);  // the first ends as an attacker on the way could end it
  }));
  trust(certificate);
  const auto cut = fetch(https(server));
  EXPECT_EQ(cut->body, "some");
  EXPECT_EQ(cut->errors, 1);
  const auto whole = fetch(https(server));
  EXPECT_EQ(whole->body, "some");
  EXPECT_EQ(whole->ends, 1) << whole->error.message;
}

TEST_F(TlsClientTest, AlpnChoosesHttp2AndFurtherCallsShareTheConnection) {
  ScriptedServer server(with_tls(
      certificate,
      [](TlsStream& stream) {
        Http2Peer::serve(stream, [](Http2Peer& peer, int32_t id, const auto& request) {
          peer.answer(id, request.pseudo.find(":scheme=https") == std::string::npos ? "no scheme" : request.body);
        });
      },
      true));
  trust(certificate);
  for (int i = 0; i < 3; ++i) {
    const auto sink = fetch(https(server), "POST", std::string(300'000, 'x'));
    EXPECT_EQ(sink->body.size(), 300'000u) << sink->error.message;
  }
  EXPECT_EQ(server.connections(), 1);
}

}  // namespace
}  // namespace payonce::net
