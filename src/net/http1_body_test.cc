#include "net/http1_body.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <vector>

namespace payonce::net {
namespace {

struct Outcome {
  Http1Body::State state;
  int status;
  size_t used;
  std::string body;
  bool operator==(const Outcome&) const = default;
};

// Feeds pieces of the given sizes, in turn; 0: through the direct space, where there is one.
Outcome decode_body(Http1Body decoder, std::string_view wire, const std::vector<uint8_t>& sizes) {
  size_t at = 0;
  for (size_t i = 0; at < wire.size() && decoder.state() == Http1Body::State::kMore; ++i) {
    const size_t size = sizes.empty() ? wire.size() : sizes[i % sizes.size()];
    const std::span<char> direct = size == 0 ? decoder.direct_space() : std::span<char>();
    if (!direct.empty()) {
      const size_t part = std::min(direct.size(), wire.size() - at);
      std::copy_n(wire.begin() + static_cast<std::ptrdiff_t>(at), part, direct.begin());
      decoder.direct_filled(part);
      at += part;
    } else {
      at += decoder.feed(wire.substr(at, std::max<size_t>(size, 1)));
    }
  }
  const bool failed = decoder.state() == Http1Body::State::kFailed;
  // Where in a bad chunk the decoder stopped is of no use to anybody.
  return {decoder.state(), failed ? decoder.error().status : 0, failed ? 0 : at,
          failed ? std::string() : decoder.take()};
}

RC_GTEST_PROP(Http1Body, AnySplitOfChunksGivesTheSameBody,
              (const std::vector<std::string>& chunks, const std::vector<uint8_t>& sizes)) {
  std::string wire, body;
  for (const std::string& chunk : chunks) {
    if (chunk.empty()) continue;
    wire += fmt::format("{:X};ext=1\r\n{}\r\n", chunk.size(), chunk);
    body += chunk;
  }
  wire += "000\r\nTrailer: x\r\n\r\n";
  const size_t end = wire.size();
  wire += "GET /next";
  RC_ASSERT(decode_body(Http1Body::chunked(1 << 20), wire, sizes) ==
            (Outcome{Http1Body::State::kDone, 0, end, body}));
}

RC_GTEST_PROP(Http1Body, AnySplitOfDamagedChunksGivesTheSameAnswer,
              (const std::vector<uint8_t>& sizes, uint16_t where, uint8_t what)) {
  std::string wire = "4\r\nabcd\r\n10;a=b\r\n0123456789abcdef\r\n0\r\nT: 1\r\n\r\n";
  wire[where % wire.size()] = static_cast<char>(what);
  RC_ASSERT(decode_body(Http1Body::chunked(30), wire, sizes) == decode_body(Http1Body::chunked(30), wire, {}));
}

RC_GTEST_PROP(Http1Body, AnySplitOfALengthGivesTheSameBody, (const std::vector<uint8_t>& sizes, uint32_t seed)) {
  std::string body(seed % 300'000 + 1, 'x');
  for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * seed >> 7);
  const Outcome outcome = decode_body(Http1Body::with_length(body.size()), body + "GET /next", sizes);
  RC_ASSERT(outcome.state == Http1Body::State::kDone);
  RC_ASSERT(outcome.body == body);
}

TEST(Http1Body, LimitsEachPartOfAChunkedBody) {
  const auto status = [](const std::string& wire) { return decode_body(Http1Body::chunked(100), wire, {}).status; };
  EXPECT_EQ(status("64\r\n" + std::string(100, 'x') + "\r\n0\r\n\r\n"), 0);
  EXPECT_EQ(status("65\r\n"), 413);
  EXPECT_EQ(status("60\r\n" + std::string(96, 'x') + "\r\n5\r\n"), 413);
  EXPECT_EQ(status("FFFFFFFFFFFFFFF\r\n"), 413);
  EXPECT_EQ(status("0000000000000001\r\n"), 400);  // 16 digits
  EXPECT_EQ(status("1;" + std::string(4097, 'e')), 400);
  EXPECT_EQ(status("0\r\nT: " + std::string(20'000, 't')), 431);
  std::string many = "0\r\n";
  for (int i = 0; i < 5000; ++i) many += "A: b\r\n";
  EXPECT_EQ(status(many), 431);
}

TEST(Http1Body, AClaimedLengthAloneTakesLittleMemory) {
  Http1Body body = Http1Body::with_length(32u << 20);
  EXPECT_LE(body.direct_space().size(), 64u * 1024);
}

}  // namespace
}  // namespace payonce::net
