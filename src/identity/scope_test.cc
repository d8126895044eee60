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
