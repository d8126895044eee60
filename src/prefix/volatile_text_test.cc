#include "prefix/volatile_text.h"

#include <gtest/gtest.h>

#include "prefix/hash_fixture.h"

namespace payonce::prefix {
namespace {

TEST(VolatileTextTest, SegmentsInARowAreTheText) {
  const std::string text = "You are a bot. The time is 10:42. Be kind!\n\n  def f(x):\n    return 1.5 \nlast";
  std::string joined;
  for (const Segment& segment : segments_of(text, kHash)) joined += text.substr(segment.begin, segment.size);
  EXPECT_EQ(joined, text);
}

TEST(VolatileTextTest, ASlotIsEqualWhenItsDateOrIdChanges) {
  const auto same = [](std::string_view a, std::string_view b) { return masked(a) == masked(b); };
  EXPECT_TRUE(same("Today is Tuesday, 3 March 2026, 14:05.", "Today is Friday, 12 June 2026, 09:55."));
  EXPECT_TRUE(same("now: 2026-11-26T08:33:19Z", "now: 2027-01-01T23:00:00Z"));
  EXPECT_TRUE(same("id 3f2504e0-4f89-41d3-9a0c-0305e82c3301", "id 0198f2aa-7b3c-7def-8123-456789abcdef"));
  EXPECT_FALSE(same("You are a pirate.", "You are a lawyer."));
}

TEST(VolatileTextTest, TimesAndIdsLookVolatileAndProseDoesNot) {
  for (const char* text : {"Current time: 2026-11-26T08:33:19Z", "It is 9:05 PM", "epoch 1764146000",
                           "t=1764146000123", "request 3f2504e0-4f89-41d3-9a0c-0305e82c3301",
                           "trace 01HV5Z8K3TQXW4Y2N7M6P9R0BC", "session a8f5f167f44f4964e6c998dee827110c"})
    EXPECT_TRUE(looks_volatile(text)) << text;
  for (const char* text :
       {"You are a helpful assistant.", "Answer in 3 to 5 sentences.", "Python 3.11.2 on Debian 12",
        "ratio 16:9 or 4:3", "Released on 2026-11-26.", "gpt-4o-mini-2024-07-18", "use utf-8",
        "See section 4.2.1 of RFC 9111: freshness", "call +1 555 0100"})
    EXPECT_FALSE(looks_volatile(text)) << text;
}

TEST(VolatileTextTest, WhatGitSaysOfAWorkingTreeIsKnownAtSight) {
  for (const char* text :
       {"  1a2b3c4 Add the parser\n", "- Recent commits:\n", "- Git status:\n", "Status:\n", "   M src/main.cc\n",
        "?? notes.txt\n", "AM docs/a.md", "0f1e2d3c4b5a69788796a5b4c3d2e1f009182736 Merge branch 'x'\n"})
    EXPECT_TRUE(is_git_state(text)) << text;
  for (const char* text : {"A dog is an animal.\n", "Status: the order is on its way.\n", "deadbeef is a word\n",
                           "- Git branch: main\n", "1234567 people live here\n", "M is the first letter of Mary\n",
                           "facade of the house\n", "D\n", "The recent commits: see below\n"})
    EXPECT_FALSE(is_git_state(text)) << text;
}

TEST(VolatileTextTest, AHashOfDigitsAloneIsOneBelowOthers) {
  EXPECT_FALSE(is_git_state("  1234567 s1 work\n"));
  EXPECT_TRUE(is_git_state("  1234567 s1 work\n", true));
  const base::KeyedHash hash("test");
  const auto segments =
      segments_of("Be kind.\n- Recent commits:\n  1234567 s1 work\n  21c60dd begin\n\nBe brief.\n", hash);
  std::vector<bool> found;
  for (const Segment& segment : segments) found.push_back(segment.is_git_state);
  EXPECT_EQ(found, (std::vector<bool>{false, true, true, true, false, false}));
}

}  // namespace
}  // namespace payonce::prefix
