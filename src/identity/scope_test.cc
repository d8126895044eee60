#include "identity/scope.h"

#include <gtest/gtest.h>

#include <set>

namespace payonce::identity {
namespace {

net::Headers headers(std::initializer_list<std::pair<std::string_view, std::string_view>> fields) {
  net::Headers out;
  for (const auto& [name, value] : fields) out.add(name, value);
  return out;
}

std::string scope(const Callers& callers,
                  std::initializer_list<std::pair<std::string_view, std::string_view>> fields) {
  return callers.identify(headers(fields)).value().scope_id;
}

TEST(Scope, EachCredentialIsItsOwnAndIsNotShown) {
  const Callers callers({.salt = "salt", .keys = {}});
  std::set<std::string> scopes{scope(callers, {}), scope(callers, {{"Authorization", "Bearer sk-1"}}),
                               scope(callers, {{"Authorization", "Bearer sk-2"}}),
                               scope(callers, {{"x-api-key", "sk-3"}}), scope(callers, {{"x-goog-api-key", "sk-4"}})};
  EXPECT_EQ(scopes.size(), 5u);
  EXPECT_EQ(scope(callers, {}), "anon");
  EXPECT_EQ(scope(callers, {{"Authorization", "bearer  sk-1"}}), scope(callers, {{"Authorization", "Bearer sk-1"}}));
  EXPECT_EQ(scope(callers, {{"Authorization", "Bearer sk-1"}}).find("sk-1"), std::string::npos);
  EXPECT_NE(scope(Callers({.salt = "other", .keys = {}}), {{"x-api-key", "sk-3"}}),
            scope(callers, {{"x-api-key", "sk-3"}}));
}

TEST(Scope, WhatMayTellWhoAsksIsACredential) {
  const Callers callers({.salt = "salt", .keys = {}});
  for (const char* name : {"X-Auth-Token", "Helicone-Auth", "x-portkey-api-key", "Proxy-Authorization", "X_API_KEY",
                           "X-Amz-Security-Token", "Cookie", "cf-access-client-secret"}) {
    EXPECT_NE(scope(callers, {{name, "a"}}), "anon") << name;
    EXPECT_NE(scope(callers, {{name, "a"}}), scope(callers, {{name, "b"}})) << name;
  }
  // Beside a shared key as well; cookies, which change on their own, do not count there.
  EXPECT_NE(scope(callers, {{"x-api-key", "k"}, {"X-User-Token", "a"}}),
            scope(callers, {{"x-api-key", "k"}, {"X-User-Token", "b"}}));
  EXPECT_EQ(scope(callers, {{"x-api-key", "k"}, {"Cookie", "a"}}), scope(callers, {{"x-api-key", "k"}}));
  for (const char* name : {"X-Author", "X-Max-Tokens", "Idempotency-Key", "X-Request-Id", "Authority"})
    EXPECT_EQ(scope(callers, {{name, "a"}}), "anon") << name;
}

TEST(Scope, ACredentialInTheQueryIsTold) {
  for (const char* target : {"/v1/x?key=1", "/v1/x?a=1&KEY=2", "/v1/x?api_key=1", "/v1/x?access_token=1",
                             "/v1/x?k%65y=1", "/v1/x?key", "/v1/x?sig=1"})
    EXPECT_TRUE(may_hold_credential(target)) << target;
  for (const char* target :
       {"/v1/x", "/v1/x?", "/v1/x?beta=true", "/v1/x?alt=sse&api-version=2026-01-01", "/key?a=key"})
    EXPECT_FALSE(may_hold_credential(target)) << target;
}

TEST(Scope, ACallerNarrowsAndNeverWidens) {
  const Callers callers({.salt = "salt", .keys = {}});
  const auto with = [&](std::string_view key, std::string_view parts) {
    return scope(callers, {{"x-api-key", key}, {"X-Payonce-Scope", parts}});
  };
  EXPECT_NE(with("a", "user:1"), with("a", "user:2"));
  EXPECT_NE(with("a", "user:1"), with("b", "user:1"));
  EXPECT_NE(with("a", "team:x"), with("b", "team:x"));
  EXPECT_EQ(with("a", "public"), scope(callers, {{"x-api-key", "a"}}));
  EXPECT_NE(with("a", "public"), with("b", "public"));
  EXPECT_EQ(with("a", "user:1, session:2"), with("a", "session:2,user:1"));
  EXPECT_EQ(with("a", "user:1,session:2"),
            scope(callers, {{"x-api-key", "a"}, {"X-Payonce-Scope", "session:2"}, {"X-Payonce-Scope", "user:1"}}));
}

TEST(Scope, AMalformedPartIsRefused) {
  const Callers callers({.salt = "salt", .keys = {}});
  for (const char* bad : {"user:", "bob", "group:x", "user:a b", "Public"})
    EXPECT_EQ(callers.identify(headers({{"X-Payonce-Scope", bad}})).error().code, base::Code::kInvalid) << bad;
}

TEST(Scope, AVirtualKeySharesOnlyWhatItOwns) {
  const Callers callers(
      {.salt = "salt",
       .keys = {{.name = "alice", .digest = base::sha256("pk-alice"), .scopes = {"team:search", "public"}},
                {.name = "bob", .digest = base::sha256("pk-bob"), .scopes = {"team:search"}},
                {.name = "eve", .digest = base::sha256("pk-eve"), .scopes = {}}}});
  const auto with = [&](std::string_view key, std::string_view parts) {
    return scope(callers, {{"Authorization", "Bearer " + std::string(key)}, {"X-Payonce-Scope", parts}});
  };
  EXPECT_EQ(with("pk-alice", "team:search"), with("pk-bob", "team:search"));
  EXPECT_NE(with("pk-eve", "team:search"), with("pk-bob", "team:search"));
  EXPECT_NE(with("pk-alice", "public"), with("pk-bob", "public"));
  EXPECT_NE(with("pk-alice", ""), with("pk-bob", ""));
  EXPECT_NE(with("pk-alice", "team:search,user:1"), with("pk-alice", "team:search"));
  EXPECT_EQ(callers.identify(headers({{"x-api-key", "pk-alice"}}))->name, "alice");
  EXPECT_EQ(callers.identify(headers({{"x-api-key", "nobody"}})).error().code, base::Code::kUnauthorized);
  EXPECT_EQ(callers.identify(headers({})).error().code, base::Code::kUnauthorized);
}

}  // namespace
}  // namespace payonce::identity
