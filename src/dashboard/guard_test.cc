// Who is the admin: the rules that stand between other pages, other machines and what is stored.
#include "dashboard/guard.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace payonce::dashboard {
namespace {

net::RequestHead page(std::string authority = "127.0.0.1:4141") {
  net::RequestHead head{.method = "POST", .target = "/payonce/v1/session", .authority = std::move(authority)};
  head.headers.add("Origin", "http://" + head.authority);
  head.headers.add("Sec-Fetch-Site", "same-origin");
  return head;
}

Guard local() {
  return Guard({.admin_token = "secret", .on_loopback = true, .local_sessions = true, .hosts = {"gateway.example"}});
}

TEST(LocalSession, IsGivenToThePageOfThisMachine) {
  const Guard guard = local();
  for (const char* authority : {"127.0.0.1:4141", "localhost:4141", "LOCALHOST", "[::1]:4141", "127.8.9.1:1"})
    EXPECT_TRUE(guard.local_session(page(authority), "127.0.0.1")) << authority;
  EXPECT_TRUE(guard.local_session(page(), "::1"));
  EXPECT_TRUE(guard.local_session(page(), "::ffff:127.0.0.1"));
  net::RequestHead old = page();  // a browser without Sec-Fetch-Site
  old.headers.remove("sec-fetch-site");
  EXPECT_TRUE(guard.local_session(old, "127.0.0.1"));
}

TEST(LocalSession, IsRefusedElsewhere) {
  const Guard guard = local();
  EXPECT_FALSE(guard.local_session(page(), "10.0.0.7"));
  EXPECT_FALSE(guard.local_session(page(), "::ffff:10.0.0.7"));
  EXPECT_FALSE(guard.local_session(page(), ""));
  EXPECT_FALSE(Guard({.admin_token = "secret"}).local_session(page(), "127.0.0.1"));
}

TEST(LocalSession, IsRefusedToRebindingNames) {
  const Guard guard = local();
  for (const char* authority : {"evil.example:4141", "127.0.0.1.evil.example", "localhost.evil.example", "",
                                "localhost@evil.example", "10.0.0.7:4141", "[::2]:4141", "[::1"})
    EXPECT_FALSE(guard.local_session(page(authority), "127.0.0.1")) << authority;
  EXPECT_TRUE(guard.may_be_rebound(page("evil.example:4141")));
  EXPECT_FALSE(guard.may_be_rebound(page()));
  EXPECT_FALSE(Guard({.admin_token = "secret"}).may_be_rebound(page("other.example")));
  // Without local sessions a page is as foreign as with them.
  EXPECT_TRUE(Guard({.on_loopback = true}).may_be_rebound(page("evil.example")));
}

TEST(ForeignPage, IsOneOfAnotherSiteUnderItsNameOrOurs) {
  const Guard guard = local();
  const auto asks = [&](std::string_view authority, std::string_view origin) {
    net::RequestHead head{.method = "POST", .target = "/v1/chat/completions", .authority = std::string(authority)};
    if (!origin.empty()) head.headers.add("Origin", origin);
    return guard.is_foreign_page(head);
  };
  for (const char* own : {"127.0.0.1:4141", "[::1]:4141", "localhost", "app.localhost:1", "host.docker.internal:4141",
                          "devbox:4141", "10.0.0.7:4141", "gateway.example", "GATEWAY.example:443", ""})
    EXPECT_FALSE(asks(own, "")) << own;
  for (const char* foreign : {"evil.example", "evil.example:4141", "127.0.0.1.evil.example", "localhost.evil.example",
                              "x.gateway.example", "[::1", "127.0.0.1.", "evil.internal.example"})
    EXPECT_TRUE(asks(foreign, "")) << foreign;
  for (const char* own : {"http://127.0.0.1:3000", "http://localhost", "https://[::1]:1", "http://gateway.example",
                          "chrome-extension://abc", "vscode-webview://x", "tauri://localhost"})
    EXPECT_FALSE(asks("127.0.0.1:4141", own)) << own;
  for (const char* foreign :
       {"http://evil.example", "https://evil.example:4141", "null", "https://127.0.0.1.evil.example"})
    EXPECT_TRUE(asks("127.0.0.1:4141", foreign)) << foreign;
  net::RequestHead elsewhere{.method = "POST", .target = "/v1/x", .authority = "evil.example"};
  EXPECT_FALSE(Guard({.admin_token = "secret"}).is_foreign_page(elsewhere));  // it does not listen on loopback
}

TEST(Local, IsWhoSitsHereAsFarAsCanBeTold) {
  const Guard guard = local();
  net::RequestHead head{.method = "GET", .target = "/metrics", .authority = "127.0.0.1:4141"};
  EXPECT_TRUE(guard.is_local(head, "127.0.0.1"));
  EXPECT_FALSE(guard.is_local(head, "10.0.0.7"));
  EXPECT_FALSE(Guard({.admin_token = "secret"}).is_local(head, "127.0.0.1"));  // perhaps a port that was handed on
  net::RequestHead rebound{.method = "GET", .target = "/metrics", .authority = "evil.example:4141"};
  EXPECT_FALSE(guard.is_local(rebound, "127.0.0.1"));
  head.headers.add("X-Forwarded-For", "10.0.0.7");
  EXPECT_FALSE(guard.is_local(head, "127.0.0.1"));
}

TEST(LocalSession, IsRefusedToOtherSitesAndToWhatIsNoPage) {
  const Guard guard = local();
  const auto with = [](std::string_view name, std::string_view value) {
    net::RequestHead head = page();
    head.headers.set(name, value);
    return head;
  };
  EXPECT_FALSE(guard.local_session(with("Origin", "http://evil.example"), "127.0.0.1"));
  EXPECT_FALSE(guard.local_session(with("Origin", "http://127.0.0.1:8080"), "127.0.0.1"));  // another port
  EXPECT_FALSE(guard.local_session(with("Origin", "null"), "127.0.0.1"));
  for (const char* site : {"cross-site", "same-site", "nonsense"})
    EXPECT_FALSE(guard.local_session(with("Sec-Fetch-Site", site), "127.0.0.1")) << site;
  for (const char* field : {"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via"})
    EXPECT_FALSE(guard.local_session(with(field, "x"), "127.0.0.1")) << field;
  net::RequestHead no_page = page();
  no_page.headers.remove("origin");
  EXPECT_FALSE(guard.local_session(no_page, "127.0.0.1"));
}

TEST(Guard, TakesTheTokenAndTheSession) {
  Guard guard = local();
  const std::string session = guard.local_session(page(), "127.0.0.1").value();
  EXPECT_EQ(guard.judge("secret", "10.0.0.7", 0), Guard::Bearer::kAdmin);
  EXPECT_EQ(guard.judge(session, "127.0.0.1", 0), Guard::Bearer::kAdmin);
  for (const char* wrong : {"", "secre", "secret ", "Secret"})
    EXPECT_EQ(guard.judge(wrong, "10.0.0.7", 0), Guard::Bearer::kNotAdmin) << wrong;
  Guard closed({.admin_token = "", .local_sessions = false});
  EXPECT_EQ(closed.judge("", "10.0.0.7", 0), Guard::Bearer::kNotAdmin);
  EXPECT_EQ(closed.judge(session, "10.0.0.7", 0), Guard::Bearer::kNotAdmin);
}

TEST(Guard, GuessesRunOutAndComeBackWithTime) {
  Guard guard = local();
  int judged = 0;
  while (guard.judge(fmt::format("guess {}", judged), "10.0.0.7", 1000) == Guard::Bearer::kNotAdmin) ++judged;
  EXPECT_EQ(judged, static_cast<int>(Attempts::kBurst));
  EXPECT_EQ(guard.judge("secret", "10.0.0.7", 1000), Guard::Bearer::kTooManyTries);  // the right one neither
  EXPECT_EQ(guard.judge("secret", "10.0.0.8", 1000), Guard::Bearer::kAdmin);
  EXPECT_EQ(guard.judge("secret", "10.0.0.7", 1000 + Attempts::kRefill_ms), Guard::Bearer::kAdmin);
}

TEST(Guard, TheSameKeyAgainIsNoGuess) {
  Guard guard = local();
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(guard.judge("sk-mine", "10.0.0.7", 0), Guard::Bearer::kNotAdmin);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(guard.judge("secret", "10.0.0.7", 0), Guard::Bearer::kAdmin);
}

// Behind one address: two callers and the admin in turn, then one who guesses until no try is left.
TEST(Guard, KeysThatWereSeenBeforeAreNoGuessEither) {
  Guard guard = local();
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(guard.judge("sk-ann", "10.0.0.7", 0), Guard::Bearer::kNotAdmin);
    EXPECT_EQ(guard.judge("secret", "10.0.0.7", 0), Guard::Bearer::kAdmin);
    EXPECT_EQ(guard.judge("sk-bob", "10.0.0.7", 0), Guard::Bearer::kNotAdmin);
  }
  for (int i = 0; i < 100; ++i) (void)guard.judge(fmt::format("guess {}", i), "10.0.0.7", 0);
  EXPECT_EQ(guard.judge("guess", "10.0.0.7", 0), Guard::Bearer::kTooManyTries);
  EXPECT_EQ(guard.judge("secret", "10.0.0.7", 0), Guard::Bearer::kAdmin);
  EXPECT_EQ(guard.judge("sk-ann", "10.0.0.7", 0), Guard::Bearer::kNotAdmin);
}

// The admin beside a guesser behind one address gives no more than his own try back.
TEST(Guard, TheRightTokenAgainGivesNoGuessesAway) {
  Guard guard = local();
  int judged = 0;
  for (int i = 0; i < 200; ++i) {
    (void)guard.judge("secret", "10.0.0.7", 0);
    (void)guard.judge("secret", "10.0.0.7", 0);
    judged += guard.judge(fmt::format("guess {}", i), "10.0.0.7", 0) == Guard::Bearer::kNotAdmin;
  }
  EXPECT_LE(judged, static_cast<int>(Attempts::kBurst));
}

TEST(Attempts, AnIpV6HostIsItsNetwork) {
  EXPECT_EQ(network_of("2001:db8:1:2:3:4:5:6"), network_of("2001:db8:1:2::9"));
  EXPECT_NE(network_of("2001:db8:1:2::9"), network_of("2001:db8:1:3::9"));
  EXPECT_NE(network_of("10.0.0.7"), network_of("10.0.0.8"));
}

TEST(Attempts, AreBounded) {
  Attempts attempts;
  for (size_t i = 0; i < 3 * Attempts::kAddresses; ++i)
    EXPECT_TRUE(attempts.may_try(fmt::format("10.{}.{}.1", i / 256, i % 256), "x", static_cast<int64_t>(i)));
}

TEST(Loopback, IsThisMachineAlone) {
  for (const char* host : {"127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "LocalHost", "::ffff:127.0.0.1"})
    EXPECT_TRUE(is_loopback(host)) << host;
  for (const char* host :
       {"0.0.0.0", "::", "10.0.0.7", "gateway.example", "localhost.example", "", "127.0.0.1 ", "1"})
    EXPECT_FALSE(is_loopback(host)) << host;
}

TEST(CrossSite, IsToldByWhatBrowsersSay) {
  net::RequestHead head{.method = "POST", .target = "/", .authority = "gateway.example"};
  EXPECT_FALSE(is_cross_site(head));  // no browser
  head.headers.set("Origin", "https://gateway.example");
  EXPECT_FALSE(is_cross_site(head));
  head.headers.set("Origin", "https://gateway.example.evil");
  EXPECT_TRUE(is_cross_site(head));
  head.headers.remove("origin");
  head.headers.set("Sec-Fetch-Site", "cross-site");
  EXPECT_TRUE(is_cross_site(head));
}

}  // namespace
}  // namespace payonce::dashboard
