#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "net/server_test_client.h"

namespace payonce::net {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

std::string post(std::string_view headers, std::string_view body) {
  return "POST /p HTTP/1.1\r\nHost: x\r\n" + std::string(headers) + "\r\n" + std::string(body);
}

TEST(Http1Server, KeepsTheConnectionAndAnswersWithLengthAndDate) {
  TestServer server(echo);
  TestClient client(server.port());
  const std::string first = client.ask(kGet);
  EXPECT_THAT(first, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(first, HasSubstr("Content-Type: text/plain\r\n"));
  EXPECT_THAT(first, HasSubstr("Content-Length: 7\r\n"));
  EXPECT_THAT(first, HasSubstr(" GMT\r\n"));
  EXPECT_THAT(first, Not(HasSubstr("Connection:")));
  EXPECT_THAT(first, EndsWith("GET /a "));
  EXPECT_THAT(client.ask(post("Content-Length: 5\r\n", "hello")), EndsWith("POST /p hello"));
  EXPECT_THAT(client.ask(post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n")),
              EndsWith("POST /p abcde"));
  EXPECT_THAT(client.ask(kGet), EndsWith("GET /a "));
}

TEST(Http1Server, HandsOnNeitherHostNorFieldsOfTheConnection) {
  std::string authority, lines, remote;
  TestServer server([&](auto exchange) {
    authority = exchange->head().authority;
    lines = exchange->head().headers.lines();
    remote = exchange->remote_address();
    exchange->respond(text_head(), {});
  });
  TestClient client(server.port());
  client.ask(
      "GET http://other:1/p?q HTTP/1.1\r\nHost: other:1\r\nX-Mine: 1\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n"
      "TE: trailers\r\nTrailer: x\r\nUpgrade: h2c\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nContent-Length: "
      "0\r\n\r\n");
  EXPECT_EQ(authority, "other:1");
  EXPECT_EQ(lines, "X-Mine: 1\r\n");
  EXPECT_EQ(remote, "127.0.0.1");
}

TEST(Http1Server, AnswersPipelinedRequestsInOrder) {
  TestServer server([](const std::shared_ptr<Exchange>& exchange) {
    // Every other answer comes later.
    if (exchange->head().target.size() % 2 == 0) return echo(exchange);
    exchange->loop().post([exchange] { echo(exchange); });
  });
  TestClient client(server.port());
  std::string requests;
  for (int i = 0; i < 20; ++i)
    requests += "GET /" + std::string(static_cast<size_t>(i), 'x') + " HTTP/1.1\r\nHost: x\r\n\r\n";
  client.send(requests);
  for (int i = 0; i < 20; ++i)
    EXPECT_THAT(client.read_answer(), EndsWith("\r\nGET /" + std::string(static_cast<size_t>(i), 'x') + " "));
}

TEST(Http1Server, AnswersTheSameWhereverTheReadsEnd) {
  TestServer server(echo);
  const std::string wire = "\r\n" + std::string(kGet) + post("Content-Length: 5\r\n", "hello") +
                           post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n") + std::string(kGet);
  for (size_t cut = 0; cut < wire.size(); ++cut) {
    TestClient client(server.port());
    client.send(wire.substr(0, cut));
    server.in_loop([] {});
    client.send(wire.substr(cut));
    EXPECT_THAT(client.read_answer(), EndsWith("GET /a "));
    EXPECT_THAT(client.read_answer(), EndsWith("POST /p hello"));
    EXPECT_THAT(client.read_answer(), EndsWith("POST /p abc"));
    EXPECT_THAT(client.read_answer(), EndsWith("GET /a "));
  }
}

TEST(Http1Server, ReadsALargeBodyInPiecesAndAsOne) {
  TestServer server(
      [](const std::shared_ptr<Exchange>& exchange) { exchange->respond(text_head(), exchange->body()); });
  TestClient client(server.port());
  std::string body(5'000'000, 'x');
  for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>('a' + i * i % 23);
  std::thread sender([&] { client.send(post("Content-Length: 5000000\r\n", body)); });
  const std::string answer = client.read_answer();
  sender.join();
  EXPECT_TRUE(answer.ends_with("\r\n\r\n" + body));
  EXPECT_THAT(client.ask(kGet), EndsWith("\r\n\r\n"));
}

TEST(Http1Server, SendsContinueWhenTheBodyIsWelcomeAnd413WhenNot) {
  Server::Options options;
  options.limits.max_body_bytes = 10;
  TestServer server(echo, options);
  TestClient client(server.port());
  client.send(post("Content-Length: 5\r\nExpect: 100-continue\r\n", ""));
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_THAT(client.ask("hello"), EndsWith("POST /p hello"));
  client.send(post("Content-Length: 11\r\nExpect: 100-continue\r\n", ""));
  EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(TestClient(server.port()).ask(post("Content-Length: 1\r\nExpect: cake\r\n", "")),
              StartsWith("HTTP/1.1 417 "));
}

struct Refused {
  std::string request;
  int status;
};

TEST(Http1Server, RefusesWhatTwoReadersCouldUnderstandInTwoWays) {
  std::atomic<int> handled = 0;
  TestServer server([&](const std::shared_ptr<Exchange>& exchange) {
    ++handled;
    echo(exchange);
  });
  const std::string chunks = "0\r\n\r\n";
  const std::vector<Refused> all = {
      {post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", chunks), 400},
      {post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", chunks), 400},
      {post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), 400},
      {post("Content-Length: 5, 5\r\n", "hello"), 400},
      {post("Content-Length: -5\r\n", "hello"), 400},
      {post("Content-Length: +5\r\n", "hello"), 400},
      {post("Content-Length: 0x5\r\n", "hello"), 400},
      {post("Content-Length: \r\n", "hello"), 400},
      {post("Content-Length: 18446744073709551617\r\n", "hello"), 400},
      {post("Transfer-Encoding: gzip\r\n", ""), 501},
      {post("Transfer-Encoding: gzip, chunked\r\n", chunks), 501},
      {post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunks), 400},
      {post("Transfer-Encoding: \x0b"
            "chunked\r\n",
            chunks),
       400},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, 400},
      {"GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n folded\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nX-A: 1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", 400},
      {"GET / HTTP/1.1\nHost: x\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: x\n\n", 400},
      {"GET / HTTP/1.1\r\nHost: x\r\nX-A: a\rb\r\n\r\n", 400},
      {std::string("GET / HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n", 37), 400},
      {"GET / HTTP/1.1\r\nHost: x\r\nX-A: a\x01\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: x\r\nX\x80: a\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: x\r\nnocolon\r\n\r\n", 400},
      {"GET x HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"G@T / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"GET / HTTP/1.2\r\nHost: x\r\n\r\n", 505},
      {"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505},
      {"GET /\r\n\r\n", 400},
      {post("Transfer-Encoding: chunked\r\n", "1\r\naX0\r\n\r\n"), 400},
      {post("Transfer-Encoding: chunked\r\n", "1\na\r\n0\r\n\r\n"), 400},
      {post("Transfer-Encoding: chunked\r\n", "-1\r\na\r\n0\r\n\r\n"), 400},
      {post("Transfer-Encoding: chunked\r\n", "10000000000000001\r\na\r\n0\r\n\r\n"), 400},
      {post("Transfer-Encoding: chunked\r\n", "1;" + std::string(5000, 'x') + "\r\na\r\n0\r\n\r\n"), 400},
      {post("Transfer-Encoding: chunked\r\n", "0\r\nT: a\n\r\n"), 400},
  };
  for (const Refused& refused : all) {
    TestClient client(server.port());
    client.send(refused.request);
    client.send(kGet);  // what a smuggler wants to be read as a request
    const std::string answer = client.read_all();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 " + std::to_string(refused.status) + " ")) << refused.request;
    EXPECT_THAT(answer, HasSubstr("Connection: close\r\n")) << refused.request;
    EXPECT_THAT(answer, HasSubstr("Content-Type: application/json\r\n"));
    EXPECT_EQ(answer.find("HTTP/1.1 2"), std::string::npos) << "a second answer: " << answer;
    EXPECT_FALSE(client.was_reset()) << refused.request;
  }
  EXPECT_EQ(handled, 0);
}

TEST(Http1Server, AcceptsEqualLengthsAndAnyMethod) {
  TestServer server(echo);
  TestClient client(server.port());
  EXPECT_THAT(client.ask("\r\nBREW / HTTP/1.1\r\nHost:\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"),
              EndsWith("BREW / x"));
}

TEST(Http1Server, NamesEachLimit) {
  Server::Options options;
  options.limits.max_head_bytes = 1000;
  options.limits.max_header_count = 5;
  options.limits.max_body_bytes = 100;
  std::string error_target;
  options.error = [&](int status, std::string_view, std::string_view target) {
    error_target = target;
    return base::Bytes("{\"status\":" + std::to_string(status) + "}");
  };
  TestServer server(echo, options);
  const auto ask = [&](const std::string& request) {
    TestClient client(server.port());
    client.send(request);
    return client.read_all();
  };
  EXPECT_THAT(ask("GET /" + std::string(1000, 'x')), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(ask(post("A: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\nE: 1\r\n", "")), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(ask(post("Content-Length: 101\r\n", "")), EndsWith("{\"status\":413}"));
  EXPECT_EQ(error_target, "/p");
  EXPECT_THAT(ask(post("Transfer-Encoding: chunked\r\n", "60\r\n" + std::string(96, 'x') + "\r\n5\r\n")),
              StartsWith("HTTP/1.1 413 "));
}

TEST(Http1Server, AClientThatSendsABodyOverTheLimitCanReadTheAnswer) {
  Server::Options options;
  options.limits.max_body_bytes = 100;
  TestServer server(echo, options);
  TestClient client(server.port());
  client.send(post("Content-Length: 4000000\r\n", std::string(4'000'000, 'x')));
  EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 413 "));
  EXPECT_FALSE(client.was_reset());
}

TEST(Http1Server, EndsSlowHeadsBodiesAndIdleConnections) {
  Server::Options options;
  // What follows up to the first answer must be done before: a busy machine needs more than some milliseconds.
  options.limits.head_timeout_ms = 1500;
  options.limits.body_timeout_ms = 1500;
  options.limits.idle_timeout_ms = 1500;
  TestServer server(echo, options);
  TestClient head(server.port()), body(server.port()), idle(server.port()), silent(server.port());
  head.send("GET / HT");
  body.send(post("Content-Length: 5\r\n", "hel"));
  EXPECT_THAT(idle.ask(kGet), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(head.read_all(), StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(body.read_all(), StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(idle.read_all(), "");
  EXPECT_EQ(silent.read_all(), "");
}

TEST(Http1Server, Http10ClosesUnlessAskedNotTo) {
  TestServer server([](const std::shared_ptr<Exchange>& exchange) {
    if (exchange->head().target != "/stream") return echo(exchange);
    exchange->start(text_head());
    exchange->write(base::Bytes::unowned("all of it"));
    exchange->finish();
  });
  TestClient kept(server.port());
  EXPECT_THAT(kept.ask("GET /a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), HasSubstr("Connection: keep-alive\r\n"));
  kept.send("GET /stream HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
  const std::string streamed = kept.read_all();
  EXPECT_THAT(streamed, EndsWith("\r\n\r\nall of it"));
  EXPECT_THAT(streamed, Not(HasSubstr("chunked")));
  TestClient closed(server.port());
  closed.send("GET /a HTTP/1.0\r\n\r\n");
  EXPECT_THAT(closed.read_all(), HasSubstr("Connection: close\r\n"));
}

TEST(Http1Server, HeadAndStatusesWithoutBodySendNone) {
  TestServer server([](const std::shared_ptr<Exchange>& exchange) {
    const std::string& target = exchange->head().target;
    if (target == "/204") return exchange->respond(text_head(204), base::Bytes::unowned("hidden"));
    if (target == "/304") return exchange->respond(text_head(304), base::Bytes::unowned("hidden"));
    exchange->respond(text_head(), base::Bytes::unowned("12345"));
  });
  TestClient client(server.port());
  client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.read_until("\r\n\r\n"), HasSubstr("Content-Length: 5\r\n"));
  client.send("GET /204 HTTP/1.1\r\nHost: x\r\n\r\nGET /304 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.read_until("\r\n\r\n"), Not(HasSubstr("Content-Length")));
  EXPECT_THAT(client.read_until("\r\n\r\n"), Not(HasSubstr("Content-Length")));
  EXPECT_THAT(client.ask(kGet), EndsWith("\r\n\r\n12345"));
}

}  // namespace
}  // namespace payonce::net
