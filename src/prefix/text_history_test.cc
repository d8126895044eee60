#include "prefix/text_history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "prefix/hash_fixture.h"

namespace payonce::prefix {
namespace {

class TextHistoryTest : public ::testing::Test {
 protected:
  // The segments that change, as text.
  std::string changing(const std::string& text) {
    const auto segments = segments_of(text, kHash);
    verdict_ = history_.take(segments);
    std::string out;
    for (size_t i = 0; i < segments.size(); ++i)
      if (verdict_.changes[i]) out += text.substr(segments[i].begin, segments[i].size);
    return out;
  }
  TextHistory history_;
  TextHistory::Verdict verdict_;
};

TEST_F(TextHistoryTest, WhatNeverChangesStays) {
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(changing("You are a bot.\nBe kind.\nReleased 2026-01-01.\n"), "");
    EXPECT_FALSE(verdict_.unreadable);
  }
}

TEST_F(TextHistoryTest, AClockIsSeenAtOnce) {
  EXPECT_EQ(changing("You are a bot.\nNow: 2026-11-26T08:01:00Z\nBe kind.\n"), "Now: 2026-11-26T08:01:00Z\n");
  EXPECT_TRUE(verdict_.unreadable);
  EXPECT_EQ(changing("You are a bot.\nNow: 2026-11-26T08:02:00Z\nBe kind.\n"), "Now: 2026-11-26T08:02:00Z\n");
  EXPECT_TRUE(verdict_.unreadable);
}

TEST_F(TextHistoryTest, ATimeThatStandsThereAgainStaysAndHindersNoReading) {
  (void)changing("Bot.\nMeet at 10:15 each day.\n");
  EXPECT_TRUE(verdict_.unreadable);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(changing("Bot.\nMeet at 10:15 each day.\n"), "");
    EXPECT_FALSE(verdict_.unreadable);
  }
}

TEST_F(TextHistoryTest, AClockThatStoodStillForAWhileIsSeenWhenItMovesOn) {
  (void)changing("Bot.\nNow: 10:15\n");
  EXPECT_EQ(changing("Bot.\nNow: 10:15\n"), "");
  for (const std::string now : {"Now: 10:16\n", "Now: 10:16\n", "Now: 10:17\n", "Now: 10:15\n"})
    EXPECT_EQ(changing("Bot.\n" + now), now);
}

TEST_F(TextHistoryTest, WhatGitSaysIsApartFromTheFirstRequestOn) {
  const std::string state = "Recent commits:\n1a2b3c4 Add m1\n";
  for (int i = 0; i < 3; ++i) EXPECT_EQ(changing("Bot.\nBe kind.\n" + state), state);
  EXPECT_FALSE(verdict_.unreadable);
  EXPECT_EQ(changing("Bot.\nBe kind.\nRecent commits:\n5d6e7f8 Add m2\n1a2b3c4 Add m1\n"),
            "Recent commits:\n5d6e7f8 Add m2\n1a2b3c4 Add m1\n");
}

TEST_F(TextHistoryTest, ARegionIsKnownByWhatStandsBeforeIt) {
  const auto prompt = [](const std::string& status) {
    return "You are a bot.\nOpen files:\n" + status + "Be kind.\n";
  };
  EXPECT_EQ(changing(prompt("")), "");
  EXPECT_EQ(changing(prompt("- a.py\n")), "") << "once is a new version";
  EXPECT_EQ(changing(prompt("- a.py\n- b.py\n")), "- a.py\n- b.py\n");
  EXPECT_EQ(changing(prompt("- a.py\n- b.py\n")), "- a.py\n- b.py\n");
  EXPECT_EQ(changing(prompt("")), "");
  EXPECT_EQ(changing(prompt("- c.py\n")), "- c.py\n");
}

TEST_F(TextHistoryTest, ANameThatChangesWithTheSessionIsSeenAfterTwoChanges) {
  const auto prompt = [](const std::string& name) { return "You are a bot.\nThe user is " + name + ".\nBe kind.\n"; };
  EXPECT_EQ(changing(prompt("Ann")), "");
  EXPECT_EQ(changing(prompt("Ann")), "");
  EXPECT_EQ(changing(prompt("Bob")), "");
  EXPECT_EQ(changing(prompt("Bob")), "");
  EXPECT_EQ(changing(prompt("Cid")), "The user is Cid.\n");
  EXPECT_FALSE(verdict_.unreadable) << "within a session it is read";
}

TEST_F(TextHistoryTest, AnotherPromptBeginsAnew) {
  (void)changing("a\nb\nc\nd\n");
  EXPECT_EQ(changing("w\nx\ny\nz\n"), "");
  EXPECT_EQ(changing("w\nx\ny\nz\n"), "");
}

TEST_F(TextHistoryTest, ALongRegionIsNoVolatileLine) {
  std::string many;
  for (int i = 0; i < 200; ++i) many += "a line of another variant of the prompt\n" + std::to_string(i) + "\n";
  const std::string stable = "one\ntwo\nthree\nfour\nfive\nsix\n";
  for (int i = 0; i < 6; ++i)
    EXPECT_EQ(changing(stable + (i % 2 == 0 ? many : "short\n")), i >= 2 && i % 2 == 1 ? "short\n" : "");
}

}  // namespace
}  // namespace payonce::prefix
