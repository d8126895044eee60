#include "prefix/breakers/slots.h"

#include <gtest/gtest.h>

#include "prefix/breakers/differences.h"
#include "prefix/breakers/entities.h"
#include "prefix/breakers/pieces.h"

namespace payonce::prefix {
namespace {

bool is_whole_time(std::string_view text) {
  bool date_only = false;
  return time_length(text, 0, date_only) == text.size();
}

TEST(EntitiesTest, TimesInAllSpellings) {
  for (const std::string_view text : {"2026-03-03T14:05:09Z",
                                      "2026-03-03T14:05:09.123456+01:00",
                                      "2026-03-03 14:05",
                                      "2026/03/03 14:05:09",
                                      "Tuesday, 3 March 2026, 14:05",
                                      "Tuesday, March 3rd, 2026 at 2:05 PM",
                                      "Tue Mar  3 14:05:09 2026",
                                      "March 3, 2026",
                                      "3 March 2026",
                                      "03/03/2026",
                                      "03.03.2026 14:05",
                                      "14:05",
                                      "2:05 p.m.",
                                      "1772546709",
                                      "1772546709123",
                                      "1772546709.25",
                                      "20260303T140509Z",
                                      "Tue, 03 Mar 2026 14:05:09 GMT",
                                      "3rd of March 2026",
                                      "2026-03-03 14:05:09 UTC",
                                      "Tuesday",
                                      "03/Mar/2026:14:05:09 +0000"})
    EXPECT_TRUE(is_whole_time(text)) << text;
  for (const std::string_view text : {"3.14", "127.0.0.1", "May", "12", "2026", "1:2", "sun", "99:99", "12345678901"})
    EXPECT_FALSE(is_whole_time(text)) << text;
}

TEST(EntitiesTest, IdsAreToldFromWords) {
  for (const std::string_view text : {"6f1c2f0e-93b1-4f0a-8a51-0d3d6a3c9b11", "01HZX4K9T2VQ3M8N5P7R0S1W6Y",
                                      "V1StGXR8_Z5jdHi6B-myT", "req_011CSHoEeqs5C35K2UUqR7Fy", "9f86d081884c7d65",
                                      "4bf92f3577b34da6a3ce929d0e0e4736", "dGhpcyBpcyBhIHRlc3Q0Nw=="})
    EXPECT_TRUE(looks_random(text)) << text;
  for (const std::string_view text :
       {"claude-sonnet-4-5", "internationalization", "get_weather_forecast", "max_output_tokens", "JavaScript2023",
        "HTTPRequestHandler", "utf-8-encoding", "customer_support_v2"})
    EXPECT_FALSE(looks_random(text)) << text;
}

std::vector<Guess> guesses(std::string_view a, std::string_view b) {
  std::vector<Guess> out;
  for (const Slot& slot : compare_text(a, b).slots) out.push_back(slot.guess);
  return out;
}

TEST(SlotsTest, EachPlaceIsFoundBehindTheOthers) {
  using enum Guess;
  const std::string rest = " You answer questions about the product in short and clear sentences.";
  const auto at = [&](std::string_view time, std::string_view id, std::string_view end) {
    return "Current time: " + std::string(time) + "." + rest + "\nRequest-ID: " + std::string(id) + "\n" + rest +
           "\nTokens left: " + std::string(end) + "\n";
  };
  EXPECT_EQ(guesses(at("2026-03-03T14:05:09Z", "6f1c2f0e-93b1-4f0a-8a51-0d3d6a3c9b11", "48,113"),
                    at("2026-03-03T14:06:11Z", "a2d3f4b5-1111-4222-8333-0123456789ab", "47,020")),
            (std::vector{kClock, kId, kWorkspace}));
  EXPECT_EQ(guesses("You are helping Alice Smith <alice@example.com> today.",
                    "You are helping Bob Jones <bob@example.com> today."),
            (std::vector{kUser}));
  EXPECT_EQ(guesses("one\r\ntwo\r\n", "one\ntwo\n"), (std::vector{kWhitespace}));
  EXPECT_EQ(guesses("x-anthropic-billing-header: cc_version=2.1; cch=aaa11;\nYou are",
                    "x-anthropic-billing-header: cc_version=2.1; cch=bbb22;\nYou are"),
            (std::vector{kBilling}));
}

TEST(SlotsTest, OffsetsPointAtTheText) {
  const std::string a = "Today is Tuesday, 3 March 2026, 14:05. Be kind.",
                    b = "Today is Tuesday, 3 March 2026, 14:09. Be kind.";
  const TextChange change = compare_text(a, b);
  ASSERT_EQ(change.slots.size(), 1u);
  EXPECT_EQ(b.substr(change.slots[0].begin, change.slots[0].end - change.slots[0].begin),
            "Tuesday, 3 March 2026, 14:09");
}

TEST(PiecesTest, AnotherOrderIsSeenAndUndone) {
  const std::string one = "[1] The first document says a lot of things.\n",
                    two = "[2] The second document says even more.\n";
  const std::string three = "[3] The third document is rather short.\n";
  const auto found = find_reordered(one + two + three, two + one + three, {});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->begin, 0u);
  EXPECT_EQ(found->aligned, two + one + three);
  EXPECT_FALSE(find_reordered(one + two + three, one + two + three, {}));
}

TEST(DifferencesTest, RegionsAreThoseThatDiffer) {
  const std::string a = "abcdefgh", b = "abXdefYgh";
  const auto regions = differing_regions(8, 9, [&](uint32_t i, uint32_t j) { return a[i] == b[j]; });
  ASSERT_EQ(regions.size(), 2u);
  EXPECT_EQ(regions[0].a_begin, 2u);
  EXPECT_EQ(regions[0].b_end, 3u);
  EXPECT_EQ(regions[1].a_begin, regions[1].a_end);
  EXPECT_EQ(regions[1].b_begin, 6u);
}

}  // namespace
}  // namespace payonce::prefix
