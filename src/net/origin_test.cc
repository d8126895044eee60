#include <gtest/gtest.h>

#include <string>

#include "net/client.h"

namespace payonce::net {
namespace {

TEST(Origin, ParsesSchemeHostPortAndPrefix) {
  std::string prefix;
  auto origin = Origin::parse("https://api.example.com/v1/", &prefix);
  ASSERT_TRUE(origin);
  EXPECT_EQ(*origin, (Origin{.tls = true, .host = "api.example.com", .port = 443}));
  EXPECT_EQ(prefix, "/v1");
  origin = Origin::parse("HTTP://[::1]:8080", &prefix);
  ASSERT_TRUE(origin);
  EXPECT_EQ(*origin, (Origin{.host = "::1", .port = 8080}));
  EXPECT_EQ(prefix, "");
  origin = Origin::parse("http://127.0.0.1/", &prefix);
  ASSERT_TRUE(origin);
  EXPECT_EQ(*origin, (Origin{.host = "127.0.0.1", .port = 80}));
  EXPECT_EQ(prefix, "");
}

TEST(Origin, SaysWhatIsWrongWithAUrl) {
  const auto why = [](std::string_view url) {
    const auto origin = Origin::parse(url, nullptr);
    return origin ? "" : origin.error().message;
  };
  EXPECT_NE(why("ftp://host").find("neither http nor https"), std::string::npos);
  EXPECT_NE(why("host:80").find("neither http nor https"), std::string::npos);
  EXPECT_NE(why("http://").find("host is missing"), std::string::npos);
  EXPECT_NE(why("http://host:0").find("port '0'"), std::string::npos);
  EXPECT_NE(why("http://host:65536").find("port '65536'"), std::string::npos);
  EXPECT_NE(why("http://host:").find("port ''"), std::string::npos);
  EXPECT_NE(why("http://ho st").find("no host name"), std::string::npos);
  EXPECT_NE(why("http://[::1").find("without ']'"), std::string::npos);
  EXPECT_NE(why("http://[host]").find("no IPv6 address"), std::string::npos);
  EXPECT_NE(why("http://host/?a=b").find("query"), std::string::npos);
  EXPECT_NE(why("http://host/#a").find("fragment"), std::string::npos);
  EXPECT_NE(why("http://host/a b").find("space"), std::string::npos);
  EXPECT_EQ(why("http://user:secret@host").find("secret"), std::string::npos);
  EXPECT_NE(why("http://user:secret@host").find("user or password"), std::string::npos);
}

}  // namespace
}  // namespace payonce::net
