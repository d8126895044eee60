#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/steady_timer.hpp>

#include "net/http2_test_client.h"

namespace payonce::net {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(Http2Server, AnswersRequestsWithAndWithoutBodies) {
  RequestHead seen;
  TestServer server([&](const std::shared_ptr<Exchange>& exchange) {
    seen = exchange->head();
    ResponseHead head = text_head();
    head.headers.add("X-Upper", "Value");
    head.headers.add("Connection", "close");
    exchange->respond(std::move(head), exchange->body());
  });
  Http2TestClient client(server.port());
  const std::string body(3'000'000, 'b');
  const auto& post =
      client.wait(client.submit("POST", "/p?q", &body, {{"x-mine", "1"}, {"content-length", "3000000"}}));
  EXPECT_EQ(post.fields.at(":status"), "200");
  EXPECT_EQ(post.fields.at("x-upper"), "Value");
  EXPECT_EQ(post.fields.at("content-length"), "3000000");
  EXPECT_THAT(post.fields.at("date"), HasSubstr("GMT"));
  EXPECT_EQ(post.fields.count("connection"), 0u);
  EXPECT_TRUE(post.body == body);
  EXPECT_EQ(seen.method, "POST");
  EXPECT_EQ(seen.target, "/p?q");
  EXPECT_EQ(seen.authority, "host:1");
  EXPECT_EQ(seen.headers.lines(), "x-mine: 1\r\n");
  const auto& get = client.wait(client.submit("GET", "/"));
  EXPECT_EQ(get.fields.at(":status"), "200");
  EXPECT_EQ(get.body, "");
  EXPECT_EQ(client.wait(client.submit("HEAD", "/")).fields.at("content-length"), "0");
}

TEST(Http2Server, ServesManyStreamsAtOnce) {
  TestServer server([](const std::shared_ptr<Exchange>& exchange) {
    if (exchange->head().target.size() % 2 == 0) return echo(exchange);
    exchange->loop().post([exchange] { echo(exchange); });
  });
  Http2TestClient client(server.port());
  std::vector<int32_t> ids;
  for (size_t i = 0; i < 100; ++i) ids.push_back(client.submit("GET", "/" + std::string(i, 'x')));
  for (size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(client.wait(ids[i]).body, "GET /" + std::string(i, 'x') + " ");
}

TEST(Http2Server, StreamsAnAnswerAndResetsAnAbortedOneBehindItsData) {
  TestServer server([](const std::shared_ptr<Exchange>& exchange) {
    exchange->start(text_head());
    exchange->write(base::Bytes::unowned("one "));
    exchange->loop().post([exchange] {
      exchange->write(base::Bytes(std::string(5000, 'x')));
      exchange->write(base::Bytes::unowned("two"));
      if (exchange->head().target == "/finish") return exchange->finish();
      if (exchange->head().target == "/abort") return exchange->abort();
    });
  });
  Http2TestClient client(server.port());
  const std::string all = "one " + std::string(5000, 'x') + "two";
  for (const char* target : {"/finish", "/abort", "/dropped"}) {
    const auto& answer = client.wait(client.submit("GET", target));
    EXPECT_EQ(answer.fields.at(":status"), "200");
    EXPECT_EQ(answer.body, all);
    EXPECT_EQ(answer.error_code, target == std::string("/finish") ? NGHTTP2_NO_ERROR : NGHTTP2_INTERNAL_ERROR);
  }
}

TEST(Http2Server, AResetOrALostConnectionTellsTheHandler) {
  std::promise<void> arrived, closed;
  TestServer server([&](const std::shared_ptr<Exchange>& exchange) {
    exchange->on_closed = [&closed, exchange] {
      exchange->respond(text_head(), {});  // comes to nothing
      closed.set_value();
    };
    exchange->start(text_head());
    arrived.set_value();
  });
  for (const bool lost : {false, true}) {
    arrived = {};
    closed = {};
    Http2TestClient client(server.port());
    const int32_t id = client.submit("GET", "/");
    client.run_until([&] { return client.answer(id).fields.count(":status") == 1; });
    arrived.get_future().wait();
    if (lost) {
      client.connection().close();
    } else {
      client.reset(id);
      client.send();
    }
    closed.get_future().wait();
  }
}

TEST(Http2Server, AnUnansweredExchangeIsA500) {
  TestServer server([](const std::shared_ptr<Exchange>&) {});
  Http2TestClient client(server.port());
  EXPECT_EQ(client.wait(client.submit("GET", "/")).fields.at(":status"), "500");
}

TEST(Http2Server, KeepsItsLimits) {
  Server::Options options;
  options.limits.max_body_bytes = 1000;
  options.limits.max_head_bytes = 2000;
  options.limits.max_header_count = 10;
  std::atomic<int> handled = 0;
  TestServer server(
      [&](const std::shared_ptr<Exchange>& exchange) {
        ++handled;
        echo(exchange);
      },
      options);
  Http2TestClient client(server.port());
  const std::string large(2'000'000, 'x');
  EXPECT_EQ(client.wait(client.submit("POST", "/", &large)).fields.at(":status"), "413");
  EXPECT_EQ(client.wait(client.submit("GET", "/", nullptr, {{"x", std::string(2000, 'x')}})).fields.at(":status"),
            "431");
  Http2TestClient::Fields many;
  for (int i = 0; i < 10; ++i) many.emplace_back("x", "y");
  EXPECT_EQ(client.wait(client.submit("GET", "/", nullptr, many)).fields.at(":status"), "431");
  EXPECT_EQ(client.wait(client.submit("OPTIONS", "*")).fields.at(":status"), "400");
  EXPECT_EQ(handled, 0);
  EXPECT_EQ(client.wait(client.submit("GET", "/")).fields.at(":status"), "200");
}

TEST(Http2Server, ManyLargeBodiesWaitForEachOther) {
  size_t held_now = 0, most_held = 0;
  Server::Options options;
  options.limits.max_body_bytes = 600'000;
  options.limits.body_timeout_ms = 400;  // does not count while it is the server that lets a client wait
  TestServer server(
      [&](const std::shared_ptr<Exchange>& exchange) {
        most_held = std::max(most_held, ++held_now);
        auto later =
            std::make_shared<boost::asio::steady_timer>(exchange->loop().context(), std::chrono::milliseconds(60));
        later->async_wait([&held_now, later, exchange](auto) {
          --held_now;
          exchange->respond(text_head(), base::Bytes(std::to_string(exchange->body().size())));
        });
      },
      options);
  Http2TestClient client(server.port());
  const std::string body(600'000, 'x');
  std::vector<int32_t> ids;
  for (int i = 0; i < 12; ++i) ids.push_back(client.submit("POST", "/", &body));
  for (const int32_t id : ids) EXPECT_EQ(client.wait(id).body, "600000");
  EXPECT_LE(most_held, 3u);
}

TEST(Http2Server, ASlowBodyIs408AndAnIdleConnectionEndsWithGoaway) {
  Server::Options options;
  options.limits.body_timeout_ms = 1000;
  options.limits.idle_timeout_ms = 1000;
  options.limits.max_body_bytes = 200'000;
  TestServer server([&](const std::shared_ptr<Exchange>& exchange) { echo(exchange); }, options);
  Http2TestClient client(server.port());
  const int32_t id = client.submit("POST", "/", nullptr, {{"expect", "100-continue"}});
  EXPECT_EQ(client.wait(id).fields.at(":status"), "200");
  EXPECT_TRUE(client.run_until([&] { return client.got_goaway(); }));
  EXPECT_EQ(client.goaway_code(), NGHTTP2_NO_ERROR);
  // A HEADERS frame without END_STREAM, and nothing behind it.
  TestClient raw(server.port());
  raw.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  raw.send(std::string_view("\0\0\0\x04\0\0\0\0\0", 9));
  raw.send(std::string_view("\0\0\x06\x01\x04\0\0\0\x01\x83\x84\x86\x41\x01x", 15));  // POST / http x
  EXPECT_THAT(raw.read_all(), HasSubstr("took too long"));
}

TEST(Http2Server, AFloodOfResetsEndsTheConnection) {
  TestServer server([](const std::shared_ptr<Exchange>& exchange) {
    exchange->on_closed = [exchange] { exchange->on_closed = nullptr; };
  });
  Http2TestClient client(server.port());
  for (int round = 0; round < 30 && !client.got_goaway(); ++round) {
    std::vector<int32_t> ids;
    for (int i = 0; i < 50; ++i) ids.push_back(client.submit("GET", "/"));
    client.send();
    for (const int32_t id : ids) client.reset(id);
    client.send();
  }
  client.run_until([&] { return client.got_goaway(); });
  EXPECT_EQ(client.goaway_code(), NGHTTP2_ENHANCE_YOUR_CALM);
}

TEST(Http2Server, PausesForAClientThatDoesNotReadAndThenResetsTheStream) {
  std::promise<void> closed;
  std::atomic<size_t> unsent = 0;
  Server::Options options;
  options.limits.write_stall_timeout_ms = 100;
  TestServer server(
      [&](const std::shared_ptr<Exchange>& exchange) {
        exchange->on_closed = [&, exchange] {
          exchange->on_closed = nullptr;
          closed.set_value();
        };
        exchange->start(text_head());
        exchange->write(base::Bytes(std::string(4'000'000, 'x')));
        exchange->loop().post(
            [&, exchange] { exchange->loop().post([&, exchange] { unsent = exchange->unsent_bytes(); }); });
      },
      options);
  Http2TestClient client(server.port(), false);
  const int32_t id = client.submit("GET", "/");
  EXPECT_EQ(client.wait(id).error_code, NGHTTP2_CANCEL);
  closed.get_future().wait();
  EXPECT_EQ(client.answer(id).body.size(), 65535u);  // the initial window
  EXPECT_EQ(unsent, 4'000'000u - 65535u);
}

// One stream waits for its answer when the server drains.
struct Draining {
  explicit Draining(int64_t deadline_ms) {
    client.send();
    held = arrived.get_future().get();
    done = server.drain(deadline_ms);
  }
  void answer() {
    EventLoop& loop = held->loop();
    loop.post([exchange = std::move(held)] { echo(exchange); });
  }

  std::promise<std::shared_ptr<Exchange>> arrived;
  TestServer server{[this](const std::shared_ptr<Exchange>& exchange) {
    if (exchange->head().target == "/held")
      arrived.set_value(exchange);
    else
      echo(exchange);
  }};
  Http2TestClient client{server.port()};
  const int32_t id = client.submit("GET", "/held");
  std::shared_ptr<Exchange> held;
  std::future<void> done;
};

TEST(Http2Server, DrainSendsGoawayToAClientThatWaitsForNothing) {
  Draining draining(600'000);
  Http2TestClient& client = draining.client;
  EXPECT_EQ(client.wait(client.submit("GET", "/")).body, "GET / ") << "until then it is served";
  EXPECT_FALSE(client.got_goaway());
  draining.answer();
  EXPECT_EQ(client.wait(draining.id).body, "GET /held ");
  EXPECT_FALSE(client.run_until([] { return false; })) << "the connection ends";
  EXPECT_TRUE(client.got_goaway());
  EXPECT_EQ(client.open_at_goaway(), 0u);
  draining.done.wait();
}

TEST(Http2Server, DrainSendsGoawayToABusyClientHalfwayThrough) {
  Draining draining(6'000);
  Http2TestClient& client = draining.client;
  EXPECT_TRUE(client.run_until([&] { return client.got_goaway(); }));
  EXPECT_EQ(client.open_at_goaway(), 1u);
  draining.answer();
  EXPECT_EQ(client.wait(draining.id).body, "GET /held ");
  EXPECT_FALSE(client.run_until([] { return false; })) << "the connection ends";
  draining.done.wait();
}

TEST(Http2Server, GarbageBehindThePrefaceEndsTheConnection) {
  TestServer server(echo);
  TestClient client(server.port());
  client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
  client.read_all();
  TestClient slow(server.port());  // the preface in two pieces
  slow.send("PRI * HTTP");
  server.in_loop([] {});
  slow.send(std::string_view("/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", 23));
  EXPECT_NE(slow.read_until(std::string_view("\0\0\0\x04\x01\0\0\0\0", 9)),
            "");  // our SETTINGS and the ACK of theirs
}

}  // namespace
}  // namespace payonce::net
