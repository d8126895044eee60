#include "base/utf8.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>

namespace payonce::base {
namespace {

constexpr uint32_t kLast = 0x10FFFF;

bool is_surrogate(uint32_t code) { return code >= 0xD800 && code < 0xE000; }

std::string spelled(uint32_t code) {
  std::string out;
  append_character(out, code);
  return out;
}

TEST(Utf8, EveryCharacterIsReadAsItIsSpelled) {
  for (uint32_t code = 0; code <= kLast; ++code) {
    const std::string text = spelled(code);
    const bool is_none = is_surrogate(code);
    ASSERT_EQ(character_size(text + "a"), is_none ? 0 : text.size()) << code;
    ASSERT_EQ(front_character(text + "a").size, is_none ? 0 : text.size()) << code;
    ASSERT_EQ(front_character(text + "a").code, is_none ? 0 : code);
    ASSERT_EQ(character_size(text.substr(0, text.size() - 1)), 0) << code;
  }
  EXPECT_EQ(spelled('a') + spelled(0xE9) + spelled(0x2603) + spelled(0x1F600), "a\u00e9\u2603\U0001F600");
}

// Each of the 256^2 beginnings, and what the table of RFC 3629, section 4 says of it.
TEST(Utf8, NoOtherPairOfBytesBeginsACharacter) {
  struct Row {
    int first_lead, last_lead, lowest_second, highest_second;
  };
  constexpr std::array<Row, 8> kTable = {{{0xC2, 0xDF, 0x80, 0xBF},
                                          {0xE0, 0xE0, 0xA0, 0xBF},
                                          {0xE1, 0xEC, 0x80, 0xBF},
                                          {0xED, 0xED, 0x80, 0x9F},
                                          {0xEE, 0xEF, 0x80, 0xBF},
                                          {0xF0, 0xF0, 0x90, 0xBF},
                                          {0xF1, 0xF3, 0x80, 0xBF},
                                          {0xF4, 0xF4, 0x80, 0x8F}}};
  for (int lead = 0; lead < 256; ++lead) {
    for (int second = 0; second < 256; ++second) {
      const bool pair = std::any_of(kTable.begin(), kTable.end(), [&](const Row& row) {
        return lead >= row.first_lead && lead <= row.last_lead && second >= row.lowest_second &&
               second <= row.highest_second;
      });
      const bool alone = lead < 0x80 || (lead >= 0xC2 && lead <= 0xF4);
      const std::string text = {static_cast<char>(lead), static_cast<char>(second)};
      ASSERT_EQ(begun_size(text), pair ? 2U : alone ? 1U : 0U) << lead << " " << second;
      ASSERT_EQ(is_unfinished_character(text), pair && lead >= 0xE0) << lead << " " << second;
    }
  }
}

TEST(Utf8, WhatIsNoCharacterIsReplaced) {
  EXPECT_EQ(with_replacements(""), "");
  EXPECT_EQ(with_replacements("a\u00e9\u2603\U0001F600"), "a\u00e9\u2603\U0001F600");
  // The example of Unicode 15, table 3-8, and beginnings at the end.
  EXPECT_EQ(with_replacements("\xF0\x80\x80\x41"), "\uFFFD\uFFFD\uFFFDA");
  EXPECT_EQ(with_replacements("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), "\uFFFD\uFFFD\uFFFD\uFFFDA");
  EXPECT_EQ(with_replacements("\xE2\x98"), "\uFFFD");
  EXPECT_EQ(with_replacements("\xE2\x98z\x98"), "\uFFFDz\uFFFD");
}

RC_GTEST_PROP(Utf8, ReplacingLeavesCharactersAlone, (const std::vector<uint8_t>& bytes)) {
  const std::string text(bytes.begin(), bytes.end());
  const std::string once = with_replacements(text);
  RC_ASSERT(with_replacements(once) == once);
  for (std::string_view rest = once; !rest.empty(); rest.remove_prefix(character_size(rest)))
    RC_ASSERT(character_size(rest) > 0U);
}

TEST(Utf8, ABeginningCutsNoCharacter) {
  constexpr std::string_view kText = "a\u00e9\u2603\U0001F600";  // 1, 2, 3 and 4 bytes
  constexpr size_t kSizes[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};
  for (size_t most = 0; most < std::size(kSizes); ++most)
    EXPECT_EQ(beginning(kText, most).size(), kSizes[most]) << most;
  EXPECT_EQ(beginning("\x80\x80", 1), "");  // no character begins here
  EXPECT_EQ(excerpt(kText, 5), "a\u00e9…");
  EXPECT_EQ(excerpt(kText, 10), kText);
  EXPECT_EQ(count_characters(kText), 4U);
  EXPECT_EQ(character_start(kText, 8), 6U);
  EXPECT_EQ(character_start(kText, 6), 6U);
  EXPECT_EQ(character_start(kText, 10), 10U);
}

}  // namespace
}  // namespace payonce::base
