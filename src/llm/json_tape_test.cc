#include "llm/json_tape.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>

namespace payonce::llm {
namespace {

TEST(JsonTape, KnowsWhereEachValueStands) {
  const std::string text = R"( {"a": [1, "x\n", {"b": null}], "c": true} )";
  const auto tape = Tape::parse(text);
  ASSERT_TRUE(tape) << tape.error().message;
  const uint32_t a = tape->find(text, 0, "a");
  ASSERT_NE(a, Tape::kNone);
  EXPECT_EQ(tape->raw(text, a), R"([1, "x\n", {"b": null}])");
  EXPECT_EQ((*tape)[a].children, 3u);
  const uint32_t string = (*tape)[a + 1].next;
  EXPECT_EQ(tape->decoded(text, string), "x\n");
  EXPECT_TRUE((*tape)[string].escaped);
  EXPECT_EQ(tape->raw(text, tape->find(text, 0, "c")), "true");
  EXPECT_EQ(tape->find(text, 0, "b"), Tape::kNone);
}

TEST(JsonTape, TheLastOfTwoMembersOfOneNameIsFoundWhateverItsSpelling) {
  const std::string text = R"({"model":"x","\u006dodel":"y"})";
  const auto tape = Tape::parse(text);
  ASSERT_TRUE(tape);
  EXPECT_EQ(tape->decoded(text, tape->find(text, 0, "model")), "y");
}

TEST(JsonTape, RefusesWhatTheGrammarRefuses) {
  for (const char* bad : {"",
                          " ",
                          "{",
                          "}",
                          "[1,]",
                          "[,1]",
                          "{\"a\"}",
                          "{\"a\":}",
                          "{\"a\":1,}",
                          "{a:1}",
                          "[1 2]",
                          "01",
                          "-",
                          "+1",
                          ".5",
                          "1.",
                          "1e",
                          "1e+",
                          "tru",
                          "nulll",
                          "\"",
                          "\"\\x\"",
                          "\"\\u12g4\"",
                          "\"\n\"",
                          "[1]]",
                          "{} {}",
                          "\"\xff\"",
                          "\"\xc0\x80\"",
                          "\"\xed\xa0\x80\"",
                          "\"\xf4\x90\x80\x80\"",
                          "\"\xe2\x82\"",
                          "NaN",
                          "'a'",
                          "[1}",
                          "{\"a\":1]",
                          "\xef\xbb\xbf{}"})
    EXPECT_FALSE(Tape::parse(bad)) << bad;
}

TEST(JsonTape, AcceptsWhatTheGrammarAccepts) {
  for (const char* good : {"0", "-0", "1.5e-7", "1E+2", "\"\"", "\"\\ud83d\\ude00\"", "\"\\ud83d\"", "[]", "{}",
                           "[[],{}]", "\"\xf0\x9f\x98\x80 \xc3\xa9\"", "\t\r\n null "})
    EXPECT_TRUE(Tape::parse(good)) << good;
}

TEST(JsonTape, DepthIsBounded) {
  EXPECT_TRUE(Tape::parse(std::string(kMaxJsonDepth, '[') + std::string(kMaxJsonDepth, ']')));
  const auto deep = Tape::parse(std::string(1'000'000, '['));
  ASSERT_FALSE(deep);
  EXPECT_NE(deep.error().message.find("nested deeper"), std::string::npos);
}

TEST(JsonTape, DecodesSurrogatePairsAndKeepsLoneOnesApart) {
  const std::string text = R"(["\ud83d\ude00","\ud83d","\ud83dx","\u00e9\/"])";
  const auto tape = Tape::parse(text);
  ASSERT_TRUE(tape);
  EXPECT_EQ(tape->decoded(text, 1), "\xf0\x9f\x98\x80");
  EXPECT_EQ(tape->decoded(text, 2), "\xed\xa0\xbd");
  EXPECT_EQ(tape->decoded(text, 3), "\xed\xa0\xbdx");
  EXPECT_EQ(tape->decoded(text, 4), "\xc3\xa9/");
}

TEST(JsonTape, AnyPlainTextSurvivesInAString) {
  rc::check([] {
    const auto words = *rc::gen::container<std::string>(rc::gen::elementOf(std::string("ab \x7f{}[]:,é😀")));
    // Bytes of cut UTF-8 sequences must be refused, whole ones kept.
    const std::string text = "[\"" + words + "\"]";
    if (const auto tape = Tape::parse(text)) RC_ASSERT(tape->decoded(text, 1) == words);
  });
}

TEST(JsonTape, ASpecialByteIsSeenAtEveryPlaceOfALongString) {
  for (size_t place = 0; place < 40; ++place) {
    const auto with = [&](std::string_view inserted) {
      std::string text(40, 'x');
      text.insert(place, inserted);
      return "[\"" + text + "\"]";
    };
    for (const char* good : {"\\n", "é", "😀", "\x7f", "\\u0041"})
      EXPECT_TRUE(Tape::parse(with(good))) << place << good;
    for (const char* bad : {"\n", "\x01", "\"", "\\", "\\x", "\xff", "\x80"})
      EXPECT_FALSE(Tape::parse(with(bad))) << place << bad;
  }
}

TEST(JsonTape, ATruncatedTextIsNeverAccepted) {
  const std::string text = R"({"a":[1,"x\n",{"b":null}],"c":true,"d":"\u00e9 é"})";
  for (size_t size = 0; size < text.size(); ++size)
    EXPECT_FALSE(Tape::parse(std::string_view(text).substr(0, size))) << size;
}

}  // namespace
}  // namespace payonce::llm
