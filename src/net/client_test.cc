#include "net/client.h"

#include <gtest/gtest.h>

#include <future>

#include "base/metrics.h"
#include "net/client_test_peers.h"

namespace payonce::net {
namespace {

using Socket = ScriptedServer::Socket;

TEST_F(ClientTest, SendsTheRequestByteForByteAndReadsTheAnswer) {
  std::promise<std::string> request;
  ScriptedServer server([&](Socket& socket, int) {
    request.set_value(ScriptedServer::read_request(socket));
    ScriptedServer::write(socket,
                          "HTTP/1.1 201 Created\r\nContent-Length: 5\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n"
                          "Keep-Alive: timeout=5\r\nDate: now\r\nX-One: 1\r\nx-one: 2\r\n\r\nhello");
    ScriptedServer::await_close(socket);
  });
  headers.add("Accept", "*/*");
  const auto sink = fetch(server.origin(), "POST", "{\"a\": 1}");
  EXPECT_EQ(request.get_future().get(),
            "POST /v1/x?y=1 HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(server.origin().port) +
                "\r\nAccept: */*\r\nContent-Length: 8\r\n\r\n{\"a\": 1}");
  ASSERT_EQ(sink->ends, 1) << sink->error.message;
  EXPECT_EQ(sink->head->status, 201);
  EXPECT_EQ(sink->head->headers.lines(), "X-One: 1\r\nx-one: 2\r\n");
  EXPECT_EQ(sink->pieces, std::vector<std::string>{"hello"});
}

TEST_F(ClientTest, AnEmptyPostSaysThatItsLengthIsZero) {
  std::promise<std::string> request;
  ScriptedServer server([&](Socket& socket, int) {
    request.set_value(ScriptedServer::read_request(socket));
    ScriptedServer::write(socket, "HTTP/1.1 204 No Content\r\n\r\n");
  });
  EXPECT_EQ(fetch(server.origin(), "POST")->ends, 1);
  EXPECT_NE(request.get_future().get().find("Content-Length: 0\r\n"), std::string::npos);
}

TEST_F(ClientTest, ARequestThatWouldSplitTheHeadIsRefused) {
  start_client();
  const auto sink = std::make_shared<RecordingSink>();
  RequestHead head{.method = "GET", .target = "/a HTTP/1.1\r\nX: y", .authority = {}, .headers = {}};
  client->send({.host = "127.0.0.1", .port = 1}, head, {}, {}, sink);
  run_until([&] { return sink->over(); });
  EXPECT_EQ(sink->error.code, base::Code::kInvalid);
  EXPECT_FALSE(sink->sent);
}

TEST_F(ClientTest, ReusesAConnectionAfterACompleteAnswer) {
  ScriptedServer server(
      ScriptedServer::answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\n"));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(fetch(server.origin())->body, "abcde");
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(ClientTest, ARequestSentFromOnEndFindsTheConnectionJustFreed) {
  ScriptedServer server(ScriptedServer::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  const auto first = send(server.origin());
  std::shared_ptr<RecordingSink> second;
  first->when_end = [&] { second = send(server.origin()); };
  run_until([&] { return second != nullptr && second->over(); });
  EXPECT_EQ(second->body, "ok");
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(ClientTest, DoesNotReuseAConnectionThatTheAnswerCloses) {
  ScriptedServer server([](Socket& socket, int) {
    ScriptedServer::read_request(socket);
    ScriptedServer::write(socket, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: Close\r\n\r\nok");
    ScriptedServer::await_close(socket);
  });
  EXPECT_EQ(fetch(server.origin())->body, "ok");
  EXPECT_EQ(fetch(server.origin())->body, "ok");
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(ClientTest, DoesNotReuseAConnectionWithHttp10) {
  ScriptedServer server([](Socket& socket, int) {
    ScriptedServer::read_request(socket);
    ScriptedServer::write(socket, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok");
    ScriptedServer::await_close(socket);
  });
  EXPECT_EQ(fetch(server.origin())->body, "ok");
  EXPECT_EQ(fetch(server.origin())->body, "ok");
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(ClientTest, DoesNotReuseAConnectionWithBytesAfterTheAnswer) {
  ScriptedServer server([](Socket& socket, int) {
    ScriptedServer::read_request(socket);
    ScriptedServer::write(socket, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n");
    ScriptedServer::await_close(socket);
  });
  EXPECT_EQ(fetch(server.origin())->body, "ok");
  EXPECT_EQ(fetch(server.origin())->body, "ok");
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(ClientTest, ReadsOverInterimAnswers) {
  ScriptedServer server(
      ScriptedServer::answering("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  const auto sink = fetch(server.origin());
  EXPECT_EQ(sink->head->status, 200);
  EXPECT_EQ(sink->body, "ok");
}

TEST_F(ClientTest, TheEndOfTheConnectionEndsABodyWithoutFraming) {
  ScriptedServer server([](Socket& socket, int) {
    ScriptedServer::read_request(socket);
    ScriptedServer::write(socket, "HTTP/1.1 200 OK\r\n\r\nall of it");
  });
  const auto sink = fetch(server.origin());
  EXPECT_EQ(sink->body, "all of it");
  EXPECT_EQ(sink->ends, 1);
}

TEST_F(ClientTest, AnAnswerToHeadHasNoBody) {
  ScriptedServer server(ScriptedServer::answering("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"));
  EXPECT_EQ(fetch(server.origin(), "HEAD")->ends, 1);
  EXPECT_EQ(fetch(server.origin(), "HEAD")->ends, 1);
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(ClientTest, ABodyCutShortIsAnError) {
  ScriptedServer server([](Socket& socket, int connection) {
    ScriptedServer::read_request(socket);
    ScriptedServer::write(socket, connection == 0
                                      ? "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
                                      : "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
  });
  auto sink = fetch(server.origin());
  EXPECT_EQ(sink->body, "half");
  EXPECT_EQ(sink->error.code, base::Code::kUnavailable);
  EXPECT_EQ(sink->error.message, "upstream closed after 4 of 10 bytes");
  EXPECT_TRUE(sink->sent);
  sink = fetch(server.origin());
  EXPECT_EQ(sink->error.message, "upstream closed after 4 bytes, before the last chunk");
}

TEST_F(ClientTest, BadFramingIsAnError) {
  const std::vector<std::string> answers = {
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalfXX",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
      "HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabcd",
  };
  ScriptedServer server([&](Socket& socket, int connection) {
    ScriptedServer::read_request(socket);
    ScriptedServer::write(socket, answers[static_cast<size_t>(connection)]);
    ScriptedServer::await_close(socket);
  });
  for (const std::string& answer : answers) {
    const auto sink = fetch(server.origin());
    EXPECT_EQ(sink->errors, 1) << answer;
    EXPECT_EQ(sink->error.code, base::Code::kUnavailable) << answer;
    EXPECT_NE(sink->error.message.find("bad framing"), std::string::npos) << answer << sink->error.message;
  }
}

TEST_F(ClientTest, AHeadOverTheLimitIsAnError) {
  start_client({.tls = {}, .max_head_bytes = 1024, .connections = {}});
  ScriptedServer server(ScriptedServer::answering("HTTP/1.1 200 OK\r\nX-Long: " + std::string(2000, 'x') +
                                                  "\r\nContent-Length: 0\r\n\r\n"));
  const auto sink = fetch(server.origin());
  EXPECT_NE(sink->error.message.find("bad answer head"), std::string::npos) << sink->error.message;
}

TEST_F(ClientTest, LargeBodiesTravelBothWays) {
  std::string large(5 << 20, 'a');
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>('a' + i * 7919 % 26);
  ScriptedServer server([&](Socket& socket, int) {
    const std::string request = ScriptedServer::read_request(socket);
    const std::string body = request.substr(request.find("\r\n\r\n") + 4);
    ScriptedServer::write(socket,
                          "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    ScriptedServer::await_close(socket);
  });
  const auto sink = fetch(server.origin(), "POST", large);
  EXPECT_TRUE(sink->body == large) << sink->error.message;
}

TEST_F(ClientTest, AStalePooledConnectionIsReplacedWithoutTheCallerKnowing) {
  // The first connection takes a second request and then closes without an answer.
  ScriptedServer server([](Socket& socket, int connection) {
    ScriptedServer::read_request(socket);
    ScriptedServer::write(socket, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    if (connection == 0)
      ScriptedServer::read_request(socket);
    else
      ScriptedServer::await_close(socket);
  });
  EXPECT_EQ(fetch(server.origin())->body, "ok");
  const auto sink = fetch(server.origin(), "POST", "again");
  EXPECT_EQ(sink->body, "ok") << sink->error.message;
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(ClientTest, ARequestThatWentOutOnAStaleConnectionCountsAsSent) {
  Origin origin;
  {
    ScriptedServer server(ScriptedServer::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    origin = server.origin();
    EXPECT_EQ(fetch(origin)->body, "ok");
  }
  const auto sink = fetch(origin);  // the pool does not yet know that the upstream is gone
  EXPECT_NE(sink->error.message.find("refused"), std::string::npos) << sink->error.message;
  EXPECT_TRUE(sink->sent);
}

TEST_F(ClientTest, AFreshConnectionThatClosesIsAnErrorAtOnce) {
  ScriptedServer server([](Socket& socket, int) { ScriptedServer::read_request(socket); });
  const auto sink = fetch(server.origin());
  EXPECT_EQ(sink->error.code, base::Code::kUnavailable);
  EXPECT_NE(sink->error.message.find("closed the connection before its answer"), std::string::npos);
  EXPECT_TRUE(sink->sent);
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(ClientTest, AnIdleConnectionThatTheUpstreamClosesLeavesThePool) {
  base::Metrics metrics;
  const base::Gauge open = metrics.gauge("payonce_connections", {{"side", "upstream"}});
  start_client({.tls = {}, .connections = open});
  ScriptedServer server([](Socket& socket, int) {
    ScriptedServer::read_request(socket);
    ScriptedServer::write(socket, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  });
  EXPECT_EQ(fetch(server.origin())->body, "ok");
  run_until([&] { return open.value() == 0; });
}

TEST_F(ClientTest, AnIdleConnectionIsClosedAfterItsTime) {
  start_client({.tls = {}, .idle_timeout_ms = 10, .connections = {}});
  std::promise<void> closed;
  ScriptedServer server([&](Socket& socket, int) {
    ScriptedServer::read_request(socket);
    ScriptedServer::write(socket, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    ScriptedServer::await_close(socket);
    closed.set_value();
  });
  EXPECT_EQ(fetch(server.origin())->body, "ok");
  auto done = closed.get_future();
  run_until([&] { return done.wait_for(std::chrono::seconds(0)) == std::future_status::ready; });
}

TEST_F(ClientTest, ThePoolKeepsNoMoreThanItsLimit) {
  start_client({.tls = {}, .max_idle_per_origin = 0, .connections = {}});
  ScriptedServer server(ScriptedServer::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  EXPECT_EQ(fetch(server.origin())->body, "ok");
  EXPECT_EQ(fetch(server.origin())->body, "ok");
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(ClientTest, ARefusedConnectionWasNotSent) {
  // Bound, and nobody listens: no other test can have that port meanwhile.
  boost::asio::io_context context;
  boost::asio::ip::tcp::acceptor silent(context);
  silent.open(boost::asio::ip::tcp::v4());
  silent.bind({boost::asio::ip::make_address("127.0.0.1"), 0});
  const auto sink = fetch({.host = "127.0.0.1", .port = silent.local_endpoint().port()});
  EXPECT_EQ(sink->error.code, base::Code::kUnavailable);
  EXPECT_NE(sink->error.message.find("refused"), std::string::npos) << sink->error.message;
  EXPECT_FALSE(sink->sent);
}

TEST_F(ClientTest, SaysWhichStepTookTooLong) {
  ScriptedServer server([](Socket& socket, int connection) {
    ScriptedServer::read_request(socket);
    if (connection == 1) ScriptedServer::write(socket, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    ScriptedServer::await_close(socket);
  });
  const std::string name = "127.0.0.1:" + std::to_string(server.origin().port);
  auto sink = fetch(server.origin(), "GET", "", {.first_byte_ms = 20});
  EXPECT_EQ(sink->error.code, base::Code::kTimeout);
  EXPECT_EQ(sink->error.message, "no first byte from " + name + " within 20 ms");
  EXPECT_TRUE(sink->sent);
  sink = fetch(server.origin(), "GET", "", {.idle_ms = 20});
  EXPECT_EQ(sink->error.code, base::Code::kTimeout);
  EXPECT_EQ(sink->error.message, "nothing more of the answer from " + name + " within 20 ms");
  EXPECT_EQ(sink->body, "half");
}

TEST_F(ClientTest, CancelClosesTheConnectionAndNoCallbackComes) {
  std::promise<void> asked;
  std::promise<void> closed;
  ScriptedServer server([&](Socket& socket, int) {
    ScriptedServer::read_request(socket);
    asked.set_value();
    ScriptedServer::await_close(socket);
    closed.set_value();
  });
  const auto sink = send(server.origin());
  auto was_asked = asked.get_future();
  run_until([&] { return was_asked.wait_for(std::chrono::seconds(0)) == std::future_status::ready; });
  call->cancel();
  call->cancel();
  closed.get_future().get();
  loop.context().poll();
  EXPECT_FALSE(sink->over());
}

TEST_F(ClientTest, CancelInsideACallbackIsSafe) {
  ScriptedServer server(ScriptedServer::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  const auto in_head = send(server.origin());
  in_head->when_head = [&] { call->cancel(); };
  run_until([&] { return in_head->head.has_value(); });
  const auto in_data = send(server.origin());
  in_data->when_data = [&] { call->cancel(); };
  run_until([&] { return !in_data->pieces.empty(); });
  loop.context().poll();
  EXPECT_FALSE(in_head->over());
  EXPECT_TRUE(in_head->pieces.empty());
  EXPECT_FALSE(in_data->over());
}

TEST_F(ClientTest, TheClientMayEndInsideACallback) {
  ScriptedServer server(ScriptedServer::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  const auto sink = send(server.origin());
  sink->when_data = [&] { client.reset(); };
  run_until([&] { return client == nullptr; });
  loop.context().poll();
  EXPECT_FALSE(sink->over());
  call->resume();
  call->cancel();
}

TEST_F(ClientTest, PauseStopsTheUpstreamAndResumeGoesOn) {
  const std::string large(64 << 20, 'x');  // more than the buffers of both sockets
  std::atomic<bool> all_written = false;
  ScriptedServer server([&](Socket& socket, int) {
    ScriptedServer::read_request(socket);
    ScriptedServer::write(socket, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(large.size()) + "\r\n\r\n");
    ScriptedServer::write(socket, large);
    all_written = true;
    ScriptedServer::await_close(socket);
  });
  const auto sink = send(server.origin(), "GET", "", {.idle_ms = 1500});
  sink->when_data = [&] {
    sink->when_data = [] {};
    call->pause();
  };
  run_until([&] { return !sink->pieces.empty(); });
  // Longer than idle_ms: the clock does not run against an upstream that we do not read from.
  loop.context().run_for(std::chrono::milliseconds(2000));
  EXPECT_EQ(sink->pieces.size(), 1u);
  EXPECT_FALSE(sink->over());
  EXPECT_FALSE(all_written);
  call->resume();
  run_until([&] { return sink->over(); });
  EXPECT_EQ(sink->body.size(), large.size()) << sink->error.message;
}

TEST_F(ClientTest, AnEarlyAnswerIsReadThoughTheRequestCannotBeWritten) {
  ScriptedServer server([](Socket& socket, int) {
    std::string head;
    boost::asio::read_until(socket, boost::asio::dynamic_buffer(head), "\r\n\r\n");
    ScriptedServer::write(socket, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    ScriptedServer::await_close(socket);
  });
  const auto sink = fetch(server.origin(), "POST", std::string(32 << 20, 'x'));
  EXPECT_EQ(sink->ends, 1) << sink->error.message;
  EXPECT_EQ(sink->head->status, 413);
  EXPECT_EQ(sink->body, "no");
}

}  // namespace
}  // namespace payonce::net
