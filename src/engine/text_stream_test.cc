#include "engine/text_stream.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace payonce::engine {
namespace {

// Feeds `text` cut at the given sizes, as tokens 0, 1, 2 …; returns all text that came out.
struct Fed {
  std::string text;
  std::vector<int32_t> tokens;
  bool stopped = false;
};
Fed feed(TextStream& stream, std::string_view text, const std::vector<size_t>& sizes) {
  Fed out;
  int32_t token = 0;
  const auto take = [&](bool last) {
    const Piece piece = stream.take(last);
    out.text += piece.text;
    out.tokens.insert(out.tokens.end(), piece.tokens.begin(), piece.tokens.end());
  };
  for (size_t i = 0; !text.empty() && !out.stopped; ++i) {
    const size_t size = std::min(text.size(), sizes.empty() ? 1 : std::max<size_t>(1, sizes[i % sizes.size()]));
    out.stopped = stream.add({.token = token++, .text = std::string(text.substr(0, size)), .likeliest = {}}, true);
    text.remove_prefix(size);
    take(out.stopped);
  }
  if (!out.stopped) take(true);
  return out;
}

TEST(TextStream, HoldsACharacterBackUntilItIsWhole) {
  TextStream stream(0, {}, false);
  stream.add({.token = 1, .text = "a\xE2\x82", .likeliest = {}}, true);
  Piece piece = stream.take(false);
  EXPECT_EQ(piece.text, "a");
  EXPECT_TRUE(piece.tokens.empty());  // its text is not out yet
  stream.add({.token = 2, .text = "\xAC!", .likeliest = {}}, true);
  piece = stream.take(false);
  EXPECT_EQ(piece.text, "€!");
  EXPECT_EQ(piece.tokens, (std::vector<int32_t>{1, 2}));
}

TEST(TextStream, EndsBeforeTheFirstStopString) {
  TextStream stream(0, {"END", "ND"}, false);
  const Fed fed = feed(stream, "all of it END and more", {2, 3});
  EXPECT_TRUE(fed.stopped);
  EXPECT_EQ(fed.text, "all of it ");
  EXPECT_EQ(stream.stop_string(), "END");
}

TEST(TextStream, WhatMayBecomeAStopStringIsHeldBack) {
  TextStream stream(0, {"STOP"}, false);
  stream.add({.token = 1, .text = "go ST", .likeliest = {}}, true);
  EXPECT_EQ(stream.take(false).text, "go ");
  stream.add({.token = 2, .text = "ART", .likeliest = {}}, true);
  EXPECT_EQ(stream.take(false).text, "START");
}

TEST(TextStream, BeforeTheLeastLengthNothingStops) {
  TextStream stream(0, {"x"}, false);
  EXPECT_FALSE(stream.add({.token = 1, .text = "ax", .likeliest = {}}, false));
  EXPECT_EQ(stream.take(false).text, "ax");
  EXPECT_TRUE(stream.add({.token = 2, .text = "bx", .likeliest = {}}, true));
  EXPECT_EQ(stream.take(true).text, "b");
}

TEST(TextStream, DamagedBytesBecomeReplacementCharacters) {
  TextStream stream(0, {}, false);
  EXPECT_EQ(feed(stream, "a\xFF\xC0z\xE2\x82", {1}).text, "a\uFFFD\uFFFDz\uFFFD");
}

// However the text is cut into tokens, all of it comes out, cut only at a stop string.
TEST(TextStream, CuttingDoesNotMatter) {
  EXPECT_TRUE(rc::check([](std::vector<size_t> sizes) {
    for (size_t& size : sizes) size = size % 5 + 1;
    const auto words = *rc::gen::container<std::vector<std::string>>(
        rc::gen::element<std::string>("a", "é", "€", "😀", "S", "ST", "STO", "x y"));
    std::string text;
    for (const std::string& word : words) text += word;
    TextStream stream(0, {"STOP", "STx"}, false);
    const Fed fed = feed(stream, text, sizes);
    const size_t end = std::min(text.find("STOP"), text.find("STx"));
    RC_ASSERT(fed.text == text.substr(0, end));
    RC_ASSERT(fed.stopped == (end != std::string::npos));
    if (!fed.stopped)
      for (size_t i = 0; i < fed.tokens.size(); ++i) RC_ASSERT(fed.tokens[i] == static_cast<int32_t>(i));
  }));
}

}  // namespace
}  // namespace payonce::engine
