// Refusals are tested over the wire, in http1_server_test.cc.
#include "net/http1_head.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace payonce::net {
namespace {

Http1Head parsed(std::string_view head) {
  auto result = parse_http1_head(head, Limits{});
  EXPECT_TRUE(result) << result.error().message;
  return result ? *result : Http1Head{};
}

TEST(Http1Head, ItsEndIsFoundWhereverTheReadsEnd) {
  const std::string head = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  for (size_t cut = 0; cut < head.size(); ++cut) {
    size_t position = 0;
    EXPECT_EQ(find_head_end(head.substr(0, cut), position), HeadEnd::kMore);
    EXPECT_EQ(find_head_end(head + "more", position), HeadEnd::kFound);
    EXPECT_EQ(position, head.size());
  }
  size_t position = 0;
  EXPECT_EQ(find_head_end("GET / HTTP/1.1\n", position), HeadEnd::kBareLf);
}

TEST(Http1Head, TellsTargetAndAuthority) {
  const Http1Head origin = parsed("GET /a?b=//c HTTP/1.1\r\nHost: h:1\r\n\r\n");
  EXPECT_EQ(origin.request.target, "/a?b=//c");
  EXPECT_EQ(origin.request.path(), "/a");
  EXPECT_EQ(origin.request.authority, "h:1");
  // The URL wins over Host (RFC 9112 3.2.2).
  const Http1Head absolute = parsed("GET HTTPS://real:2?q HTTP/1.1\r\nHost: other\r\n\r\n");
  EXPECT_EQ(absolute.request.target, "/?q");
  EXPECT_EQ(absolute.request.authority, "real:2");
  EXPECT_EQ(parsed("GET http://real HTTP/1.1\r\nHost: other\r\n\r\n").request.target, "/");
}

TEST(Http1Head, TellsWhetherTheConnectionStays) {
  EXPECT_TRUE(parsed("GET / HTTP/1.1\r\nHost: x\r\n\r\n").keep_alive);
  EXPECT_FALSE(parsed("GET / HTTP/1.1\r\nHost: x\r\nConnection: a , CLOSE\r\n\r\n").keep_alive);
  EXPECT_FALSE(parsed("GET / HTTP/1.0\r\n\r\n").keep_alive);
  EXPECT_TRUE(parsed("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keep_alive);
  EXPECT_FALSE(parsed("GET / HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\n").keep_alive);
}

TEST(Http1Head, ConnectionTakesNoFieldAwayThatIsForAll) {
  for (const char* field :
       {"Authorization", "X-Payonce-Scope", "x-api-key", "cookie", "Cache-Control", "x-forwarded-for", "Origin"}) {
    const std::string head =
        fmt::format("GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, {}\r\n{}: v\r\n\r\n", field, field);
    const auto result = parse_http1_head(head, Limits{});
    ASSERT_FALSE(result) << field;
    EXPECT_EQ(result.error().status, 400) << field;
  }
}

TEST(Http1Head, TellsTheFramingOfTheBody) {
  EXPECT_EQ(parsed("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 007\r\n\r\n").content_length, 7u);
  EXPECT_TRUE(parsed("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n").chunked);
  EXPECT_TRUE(parsed("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\n\r\n").expects_continue);
  EXPECT_FALSE(parsed("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").expects_continue);
}

}  // namespace
}  // namespace payonce::net
