#include "net/response_framing.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

namespace payonce::net {
namespace {

struct Decoded {
  std::string body;
  size_t consumed = 0;
  bool done = false;
  std::string error;
  bool operator==(const Decoded&) const = default;
};

// Feeds `input` in parts of the given sizes (at least one byte each), the rest in one.
Decoded decode(BodyDecoder decoder, std::string_view input, const std::vector<uint8_t>& sizes = {}) {
  Decoded out;
  size_t part = 0;
  while (out.consumed < input.size() && !decoder.done()) {
    std::string_view view = input.substr(out.consumed);
    if (part < sizes.size()) view = view.substr(0, std::max<size_t>(1, sizes[part++]));
    while (!view.empty() && !decoder.done()) {
      const auto step = decoder.next(view);
      if (!step) {
        out.error = step.error().message;
        return out;
      }
      out.body += step->data;
      out.consumed += step->consumed;
      view.remove_prefix(step->consumed);
    }
  }
  out.done = decoder.done();
  return out;
}

Headers headers(std::initializer_list<std::pair<std::string_view, std::string_view>> fields) {
  Headers out;
  for (const auto& [name, value] : fields) out.add(name, value);
  return out;
}

std::string error_of(std::string_view method, int status, const Headers& raw) {
  const auto body = response_body(method, status, raw);
  return body ? "" : body.error().message;
}

RC_GTEST_PROP(BodyDecoder, AnySplitOfAChunkedBodyGivesTheSame,
              (const std::vector<std::string>& chunks, const std::vector<uint8_t>& sizes)) {
  std::string wire;
  std::string body;
  for (const std::string& chunk : chunks) {
    if (chunk.empty()) continue;
    char size[32];
    std::snprintf(size, sizeof(size), "%zX;a=b\r\n", chunk.size());
    wire += size + chunk + "\r\n";
    body += chunk;
  }
  wire += "0\r\nTrailer: x\r\n\r\n";
  const Decoded got = decode(BodyDecoder::chunked(), wire + "next", sizes);
  RC_ASSERT(got.body == body);
  RC_ASSERT(got.consumed == wire.size());
  RC_ASSERT(got.done);
}

RC_GTEST_PROP(BodyDecoder, AnySplitOfAnyBytesGivesTheSame, (const std::vector<uint8_t>& sizes)) {
  // Mostly characters that mean something to the chunked coding, so that the states behind the first are met.
  const auto input = *rc::gen::container<std::string>(rc::gen::elementOf(std::string("001a\r\n\r\n; x")));
  const Decoded whole = decode(BodyDecoder::chunked(), input);
  const Decoded split = decode(BodyDecoder::chunked(), input, sizes);
  RC_ASSERT(split.error == whole.error);
  if (whole.error.empty()) RC_ASSERT(split == whole);
}

TEST(BodyDecoder, ALengthTakesItsBytesAndNoMore) {
  EXPECT_EQ(decode(BodyDecoder::with_length(3), "abcdef"), (Decoded{"abc", 3, true, ""}));
  EXPECT_TRUE(BodyDecoder::with_length(0).done());
  EXPECT_TRUE(BodyDecoder::none().done());
}

TEST(BodyDecoder, RefusesLooseChunkedCoding) {
  for (const std::string_view wire : {
           "\r\n",            // no size
           "g\r\n",           // no hexadecimal digit
           "0x3\r\nabc\r\n",  // a C prefix
           "-3\r\n",
           "+3\r\n",                  // a sign
           " 3\r\nabc\r\n",           // white space before
           "3\nabc\n",                // bare LF
           "3;a=b\nabc\r\n",          // bare LF after an extension
           "3\r\nabcd\r\n",           // longer than said
           "3\r\nabc\rX",             // CR without LF
           "3 4\r\nabc\r\n",          // two sizes
           "0\r\n\n",                 // bare LF at the end
           "0\r\nTrailer: x\n\r\n",   // bare LF after a trailer
           "1000000000000000\r\nab",  // 2^60
       })
    EXPECT_NE(decode(BodyDecoder::chunked(), wire).error.find("bad framing"), std::string::npos) << wire;
}

TEST(BodyDecoder, BoundsWhatIsNotBody) {
  EXPECT_NE(decode(BodyDecoder::chunked(), "1;" + std::string(5000, 'x')).error.find("too long"), std::string::npos);
  EXPECT_NE(decode(BodyDecoder::chunked(), "0\r\n" + std::string(20'000, 'x')).error.find("too long"),
            std::string::npos);
  std::string many;
  for (int i = 0; i < 5000; ++i) many += "1\r\nx\r\n";
  EXPECT_EQ(decode(BodyDecoder::chunked(), many + "0\r\n\r\n").body.size(), 5000u);
}

TEST(BodyDecoder, TheEndOfTheConnectionIsGoodWhereFramingSaysSo) {
  EXPECT_TRUE(BodyDecoder::until_close().at_eof());
  EXPECT_TRUE(BodyDecoder::none().at_eof());
  EXPECT_EQ(BodyDecoder::with_length(7).at_eof().error().message, "upstream closed after 0 of 7 bytes");
  EXPECT_FALSE(BodyDecoder::chunked().at_eof());
}

TEST(ResponseBody, FollowsRfc9112) {
  const Headers length = headers({{"Content-Length", "3"}});
  const Headers chunked = headers({{"transfer-encoding", "Chunked"}});
  EXPECT_EQ(decode(*response_body("GET", 200, length), "abcd").consumed, 3u);
  EXPECT_EQ(decode(*response_body("GET", 200, chunked), "1\r\na\r\n0\r\n\r\n").body, "a");
  EXPECT_TRUE(response_body("GET", 200, {})->until_close_only());
  EXPECT_TRUE(response_body("HEAD", 200, length)->done());
  EXPECT_TRUE(response_body("HEAD", 200, chunked)->done());
  EXPECT_TRUE(response_body("GET", 204, {})->done());
  EXPECT_TRUE(response_body("GET", 304, length)->done());
  EXPECT_EQ(error_of("GET", 200, headers({{"Content-Length", "3"}, {"Content-Length", "3"}})), "");
}

TEST(ResponseBody, RefusesDoubtfulFraming) {
  for (const Headers& raw : {
           headers({{"Content-Length", "3"}, {"Transfer-Encoding", "chunked"}}),
           headers({{"Content-Length", "3"}, {"content-length", "4"}}),
           headers({{"Content-Length", "3, 3"}}),
           headers({{"Content-Length", "+3"}}),
           headers({{"Content-Length", "0x3"}}),
           headers({{"Content-Length", ""}}),
           headers({{"Content-Length", "99999999999999999999"}}),
           headers({{"Transfer-Encoding", "gzip, chunked"}}),
           headers({{"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked"}}),
           headers({{"Transfer-Encoding", "identity"}}),
       })
    EXPECT_NE(error_of("GET", 200, raw).find("bad framing"), std::string::npos) << raw.lines();
}

TEST(KeepsAlive, OnlyWithHttp11AndWithoutClose) {
  EXPECT_TRUE(keeps_alive(true, {}));
  EXPECT_FALSE(keeps_alive(false, headers({{"Connection", "keep-alive"}})));
  EXPECT_FALSE(keeps_alive(true, headers({{"Connection", "x, CLOSE"}})));
  EXPECT_FALSE(keeps_alive(true, headers({{"Connection", "x"}, {"Connection", "close"}})));
  EXPECT_TRUE(keeps_alive(true, headers({{"Connection", "closed"}})));
}

TEST(EndToEndFields, LeavesOutWhatIsForOneHop) {
  const Headers raw = headers({{"Connection", "X-A, x-b"},
                               {"X-A", "1"},
                               {"X-B", "2"},
                               {"Keep-Alive", "5"},
                               {"Proxy-Connection", "x"},
                               {"TE", "x"},
                               {"Trailer", "x"},
                               {"Transfer-Encoding", "chunked"},
                               {"content-length", "3"},
                               {"Upgrade", "h2c"},
                               {"Date", "now"},
                               {"X-C", "3"}});
  EXPECT_EQ(end_to_end_fields(raw).lines(), "X-C: 3\r\n");
}

}  // namespace
}  // namespace payonce::net
