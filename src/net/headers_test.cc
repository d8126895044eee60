#include "net/headers.h"

#include <gtest/gtest.h>

namespace payonce::net {
namespace {

TEST(Headers, NamesCompareWithoutCaseAndDuplicatesStay) {
  Headers headers;
  headers.add("Accept", "a");
  headers.add("X-One", "1");
  headers.add("accept", "b");
  EXPECT_EQ(headers.get("ACCEPT"), "a");
  EXPECT_EQ(headers.count("accept"), 2u);
  EXPECT_EQ(headers.joined("Accept"), "a, b");
  headers.set("Accept", "c");
  EXPECT_EQ(headers.lines(), "X-One: 1\r\nAccept: c\r\n");
  EXPECT_FALSE(headers.get("missing"));
}

TEST(Headers, AFieldThatWouldSplitTheHeadIsDropped) {
  Headers headers;
  EXPECT_FALSE(headers.try_add("X-One", "1\r\nSet-Cookie: x"));
  EXPECT_FALSE(headers.try_add("X-One", std::string_view("a\0b", 3)));
  EXPECT_FALSE(headers.try_add("X One", "1"));
  EXPECT_FALSE(headers.try_add("", "1"));
  EXPECT_FALSE(headers.try_add("X:One", "1"));
  EXPECT_TRUE(headers.empty());
  EXPECT_TRUE(headers.try_add("X-Empty", ""));
  EXPECT_EQ(headers.get("x-empty"), "");
}

}  // namespace
}  // namespace payonce::net
