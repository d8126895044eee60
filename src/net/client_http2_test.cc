#include <gtest/gtest.h>

#include <future>
#include <mutex>
#include <set>

#include "net/client_http2_test_peer.h"
#include "net/client_test_peers.h"

namespace payonce::net {
namespace {

using Socket = ScriptedServer::Socket;

ScriptedServer::Script speaking_http2(Http2Peer::Script script, uint32_t max_streams = 100) {
  return [script, max_streams](Socket& socket, int) { Http2Peer::serve(socket, script, max_streams); };
}

class Http2ClientTest : public ClientTest {
 protected:
  static Origin http2(const ScriptedServer& server) {
    Origin origin = server.origin();
    origin.http2_prior_knowledge = true;
    return origin;
  }
};

TEST_F(Http2ClientTest, SendsTheRequestAndReadsTheAnswer) {
  std::promise<Http2Peer::Request> request;
  ScriptedServer server(speaking_http2([&](Http2Peer& peer, int32_t id, const Http2Peer::Request& got) {
    request.set_value(got);
    peer.interim(id);
    peer.answer(id, "hello", "201");
  }));
  headers.add("X-One", "1");
  headers.add("Connection", "x");
  const auto sink = fetch(http2(server), "POST", "{\"a\": 1}");
  ASSERT_EQ(sink->ends, 1) << sink->error.message;
  const Http2Peer::Request got = request.get_future().get();
  EXPECT_EQ(got.pseudo, ":method=POST :scheme=http :authority=127.0.0.1:" + std::to_string(server.origin().port) +
                            " :path=/v1/x?y=1 ");
  EXPECT_EQ(got.fields.lines(), "x-one: 1\r\ncontent-length: 8\r\n");
  EXPECT_EQ(got.body, "{\"a\": 1}");
  EXPECT_EQ(sink->head->status, 201);
  EXPECT_EQ(sink->head->headers.lines(), "content-type: text/plain\r\n");
  EXPECT_EQ(sink->body, "hello");
}

TEST_F(Http2ClientTest, ManyCallsShareOneConnectionAndWaitForThePeersLimit) {
  std::atomic<int> most = 0;
  std::set<int32_t> open;
  ScriptedServer server(speaking_http2(
      [&](Http2Peer& peer, int32_t id, const Http2Peer::Request& request) {
        open.insert(id);
        most = std::max<int>(most, static_cast<int>(open.size()));
        peer.when_closed = [&](int32_t closed, uint32_t) { open.erase(closed); };
        peer.answer(id, request.body);
      },
      4));
  fetch(http2(server), "POST", "first");  // so that the peer's limit is known
  std::vector<std::shared_ptr<RecordingSink>> sinks;
  for (int i = 0; i < 50; ++i) sinks.push_back(send(http2(server), "POST", std::to_string(i)));
  run_until([&] { return std::all_of(sinks.begin(), sinks.end(), [](const auto& sink) { return sink->over(); }); });
  for (size_t i = 0; i < sinks.size(); ++i) EXPECT_EQ(sinks[i]->body, std::to_string(i)) << sinks[i]->error.message;
  EXPECT_EQ(server.connections(), 1);
  EXPECT_LE(most, 4);
}

TEST_F(Http2ClientTest, CallsSentWhileTheConnectionIsOnItsWayShareIt) {
  ScriptedServer server(speaking_http2([](Http2Peer& peer, int32_t id, const auto&) { peer.answer(id, "ok"); }));
  std::vector<std::shared_ptr<RecordingSink>> sinks;
  for (int i = 0; i < 10; ++i) sinks.push_back(send(http2(server)));
  run_until([&] { return std::all_of(sinks.begin(), sinks.end(), [](const auto& sink) { return sink->over(); }); });
  for (const auto& sink : sinks) EXPECT_EQ(sink->body, "ok") << sink->error.message;
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(Http2ClientTest, LargeBodiesTravelBothWays) {
  std::string large(9 << 20, 'a');
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>('a' + i * 7919 % 26);
  ScriptedServer server(
      speaking_http2([](Http2Peer& peer, int32_t id, const auto& request) { peer.answer(id, request.body); }));
  const auto sink = fetch(http2(server), "POST", large);
  EXPECT_TRUE(sink->body == large) << sink->error.message;
}

TEST_F(Http2ClientTest, ARefusedStreamWasNotSentAndAResetOneWas) {
  ScriptedServer server(speaking_http2([](Http2Peer& peer, int32_t id, const auto&) {
    peer.reset(id, id == 1 ? NGHTTP2_REFUSED_STREAM : NGHTTP2_INTERNAL_ERROR);
  }));
  auto sink = fetch(http2(server));
  EXPECT_EQ(sink->error.code, base::Code::kUnavailable);
  EXPECT_NE(sink->error.message.find("REFUSED_STREAM"), std::string::npos) << sink->error.message;
  EXPECT_FALSE(sink->sent);
  sink = fetch(http2(server));
  EXPECT_NE(sink->error.message.find("INTERNAL_ERROR"), std::string::npos) << sink->error.message;
  EXPECT_TRUE(sink->sent);
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(Http2ClientTest, AfterGoAwayTheNextCallTakesANewConnection) {
  ScriptedServer server(speaking_http2([](Http2Peer& peer, int32_t id, const auto&) {
    peer.answer(id, "ok");
    peer.go_away(id);
  }));
  EXPECT_EQ(fetch(http2(server))->body, "ok");
  EXPECT_EQ(fetch(http2(server))->body, "ok");
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(Http2ClientTest, ACallBeyondTheLastStreamOfGoAwayIsSentOnceMore) {
  ScriptedServer server([](Socket& socket, int connection) {
    Http2Peer::serve(socket, [connection](Http2Peer& peer, int32_t id, const auto&) {
      if (connection == 0 && id > 1)
        peer.go_away(1);
      else
        peer.answer(id, "ok");
    });
  });
  EXPECT_EQ(fetch(http2(server))->body, "ok");
  const auto sink = fetch(http2(server), "POST", "x");
  EXPECT_EQ(sink->body, "ok") << sink->error.message;
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(Http2ClientTest, AStaleConnectionIsReplacedWithoutTheCallerKnowing) {
  ScriptedServer server([](Socket& socket, int connection) {
    Http2Peer::serve(socket, [connection](Http2Peer& peer, int32_t id, const auto&) {
      if (connection == 0 && id > 1)
        peer.leave();
      else
        peer.answer(id, "ok");
    });
  });
  EXPECT_EQ(fetch(http2(server))->body, "ok");
  const auto sink = fetch(http2(server), "POST", "x");
  EXPECT_EQ(sink->body, "ok") << sink->error.message;
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(Http2ClientTest, AConnectionThatClosesFailsItsCalls) {
  ScriptedServer server(speaking_http2([](Http2Peer& peer, int32_t, const auto&) { peer.leave(); }));
  const auto sink = fetch(http2(server));
  EXPECT_EQ(sink->error.code, base::Code::kUnavailable);
  EXPECT_NE(sink->error.message.find("closed the connection"), std::string::npos) << sink->error.message;
  EXPECT_TRUE(sink->sent);
}

TEST_F(Http2ClientTest, ABodyCutShortIsAnError) {
  ScriptedServer server([](Socket& socket, int) {
    Http2Peer::serve(socket, [](Http2Peer& peer, int32_t id, const auto&) {
      peer.answer(id, std::string(1 << 20, 'x'));
      peer.when_bytes_given = [&peer](int32_t of, size_t given) {
        if (given > 100'000 && given < 120'000) peer.reset(of, NGHTTP2_INTERNAL_ERROR);
      };
    });
  });
  const auto sink = fetch(http2(server));
  EXPECT_TRUE(sink->head.has_value());
  EXPECT_EQ(sink->errors, 1);
  EXPECT_LT(sink->body.size(), size_t{1} << 20);
}

TEST_F(Http2ClientTest, CancelResetsTheStreamAndKeepsTheConnection) {
  std::promise<uint32_t> reset;
  std::promise<void> asked;
  ScriptedServer server([&](Socket& socket, int) {
    Http2Peer::serve(socket, [&](Http2Peer& peer, int32_t id, const auto&) {
      peer.when_closed = [&](int32_t closed, uint32_t code) {
        if (closed == 1) reset.set_value(code);
      };
      if (id == 1)
        asked.set_value();
      else
        peer.answer(id, "ok");
    });
  });
  const auto sink = send(http2(server));
  auto was_asked = asked.get_future();
  run_until([&] { return was_asked.wait_for(std::chrono::seconds(0)) == std::future_status::ready; });
  call->cancel();
  EXPECT_EQ(reset.get_future().get(), static_cast<uint32_t>(NGHTTP2_CANCEL));
  EXPECT_EQ(fetch(http2(server))->body, "ok");
  EXPECT_FALSE(sink->over());
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(Http2ClientTest, CancelAndClientEndInsideCallbacksAreSafe) {
  ScriptedServer server(speaking_http2([](Http2Peer& peer, int32_t id, const auto&) { peer.answer(id, "ok"); }));
  const auto in_head = send(http2(server));
  in_head->when_head = [&] { call->cancel(); };
  run_until([&] { return in_head->head.has_value(); });
  const auto in_data = send(http2(server));
  in_data->when_data = [&] { client.reset(); };
  run_until([&] { return client == nullptr; });
  loop.context().poll();
  EXPECT_TRUE(in_head->pieces.empty());
  EXPECT_FALSE(in_head->over());
  EXPECT_FALSE(in_data->over());
}

TEST_F(Http2ClientTest, PauseShutsTheWindowOfItsStreamAlone) {
  const size_t size = 16 << 20;
  std::atomic<size_t> given = 0;
  ScriptedServer server([&](Socket& socket, int) {
    Http2Peer::serve(socket, [&](Http2Peer& peer, int32_t id, const auto&) {
      peer.when_bytes_given = [&](int32_t of, size_t bytes) {
        if (of == 1) given = bytes;
      };
      peer.answer(id, id == 1 ? std::string(size, 'x') : std::string(size / 2, 'y'));
    });
  });
  const auto paused = send(http2(server));
  const auto paused_call = call;
  paused->when_data = [&] {
    paused->when_data = [] {};
    paused_call->pause();
  };
  run_until([&] { return !paused->pieces.empty(); });
  EXPECT_EQ(fetch(http2(server))->body.size(), size / 2);  // more than the connection's window
  EXPECT_EQ(paused->pieces.size(), 1u);
  EXPECT_LE(given, size_t{2} << 20);
  paused_call->resume();
  run_until([&] { return paused->over(); });
  EXPECT_EQ(paused->body.size(), size) << paused->error.message;
}

TEST_F(Http2ClientTest, SaysThatNoFirstByteCame) {
  ScriptedServer server(speaking_http2([](Http2Peer&, int32_t, const auto&) {}));
  const auto sink = fetch(http2(server), "GET", "", {.first_byte_ms = 20});
  EXPECT_EQ(sink->error.code, base::Code::kTimeout);
  EXPECT_NE(sink->error.message.find("no first byte"), std::string::npos);
  EXPECT_TRUE(sink->sent);
}

TEST_F(Http2ClientTest, AnIdleConnectionIsClosedAfterItsTime) {
  start_client({.tls = {}, .idle_timeout_ms = 10, .connections = {}});
  std::promise<void> closed;
  ScriptedServer server([&](Socket& socket, int) {
    Http2Peer::serve(socket, [](Http2Peer& peer, int32_t id, const auto&) { peer.answer(id, "ok"); });
    closed.set_value();
  });
  EXPECT_EQ(fetch(http2(server))->body, "ok");
  auto done = closed.get_future();
  run_until([&] { return done.wait_for(std::chrono::seconds(0)) == std::future_status::ready; });
}

}  // namespace
}  // namespace payonce::net
