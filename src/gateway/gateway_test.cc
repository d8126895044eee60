#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "gateway/admin.h"
#include "gateway/answer_headers.h"
#include "gateway/upstreams.h"
#include "source_tree/source_tree.h"

namespace payonce::gateway {
namespace {

using llm::Dialect;
using route::UpstreamKind;

std::string target(std::string_view prefix, std::string_view path, Dialect dialect = Dialect::kOther,
                   UpstreamKind wire = UpstreamKind::kOpenAi) {
  return upstream_target(prefix, path, dialect, wire);
}

TEST(UpstreamTarget, TheClientsV1IsTheBasesV1) {
  EXPECT_EQ(target("/v1", "/v1/chat/completions", Dialect::kOpenAiChat), "/v1/chat/completions");
  EXPECT_EQ(target("/api/v1", "/v1/models?limit=2"), "/api/v1/models?limit=2");
  EXPECT_EQ(target("/v1", "/v1"), "/v1");
}

TEST(UpstreamTarget, AnyOtherPathGoesToTheHost) {
  EXPECT_EQ(target("/v1", "/tokenize"), "/tokenize");
  EXPECT_EQ(target("/v1", "/v1beta/models"), "/v1beta/models");
  EXPECT_EQ(target("/proxy/v1", "/health"), "/proxy/health");
}

TEST(UpstreamTarget, GeminiHasVersionsOfItsOwn) {
  EXPECT_EQ(target("/v1", "/v1beta/models/m:generateContent", Dialect::kGemini), "/v1beta/models/m:generateContent");
  EXPECT_EQ(target("/v1", "/v1/models/m:generateContent", Dialect::kGemini), "/v1/models/m:generateContent");
  EXPECT_EQ(target("", "/v1beta/models/m:generateContent", Dialect::kGemini), "/v1beta/models/m:generateContent");
}

TEST(UpstreamTarget, TheAnthropicBaseHasNoV1) {
  EXPECT_EQ(target("", "/v1/messages?beta=true", Dialect::kAnthropicMessages, UpstreamKind::kAnthropic),
            "/v1/messages?beta=true");
  EXPECT_EQ(target("/anthropic", "/v1/messages", Dialect::kAnthropicMessages, UpstreamKind::kAnthropic),
            "/anthropic/v1/messages");
}

TEST(OurOrigin, WhatABrowserCouldShowComesInASandbox) {
  const auto policy = [](std::vector<std::string_view> types) {
    net::Headers headers;
    for (const std::string_view type : types) headers.add("Content-Type", type);
    keep_off_our_origin(headers);
    return std::string(headers.get("content-security-policy").value_or(""));
  };
  for (const char* data : {"application/json", "Application/JSON; charset=utf-8", "text/event-stream"})
    EXPECT_EQ(policy({data}), "") << data;
  for (const char* shown : {"text/html", "image/svg+xml", "application/jsonhtml", "", "application/json, text/html",
                            "application/json;x=y, text/html"})
    EXPECT_EQ(policy({shown}), "sandbox") << shown;
  EXPECT_EQ(policy({}), "sandbox");
  EXPECT_EQ(policy({"application/json", "text/html"}), "sandbox");  // a browser may take the last
}

TEST(UpstreamTarget, NoPathLeavesTheBaseUrl) {
  for (const char* bad : {"/v1/../admin", "/..", "/v1/./x", "/v1/%2e%2E/x", "/v1/.%2e/x", "/v1/x/..", "/v1\\..\\x",
                          "/v1/x%2f..%2Fy", "/v1/..%5cx", "/v1/x/..?a=b"})
    EXPECT_TRUE(leaves_its_place(bad)) << bad;
  for (const char* good :
       {"/v1/files/a..b", "/v1/...", "/v1/x?file=../y", "/v1/models/a%2Fb:generate", "/", "/.well-known/x"})
    EXPECT_FALSE(leaves_its_place(good)) << good;
}

TEST(UpstreamHeaders, OursAndTheHopsStayBehindAndTheKeyIsReplaced) {
  net::Headers from;
  for (const auto& [name, value] : {std::pair{"Authorization", "Bearer caller"},
                                    {"X-Payonce-Scope", "user:1"},
                                    {"Connection", "close"},
                                    {"Accept-Encoding", "gzip"},
                                    {"X-Other", "1"}})
    from.add(name, value);
  route::Upstream upstream;
  const net::Headers passed = upstream_headers(from, upstream, Dialect::kOpenAiChat);
  EXPECT_EQ(passed.lines(), "Authorization: Bearer caller\r\nX-Other: 1\r\nAccept-Encoding: identity\r\n");
  EXPECT_EQ(upstream_headers(from, upstream, Dialect::kOther).get("accept-encoding"), "gzip");
  upstream.key = "own";
  EXPECT_EQ(upstream_headers(from, upstream, Dialect::kOpenAiChat).joined("authorization"), "Bearer own");
  from.add("x-goog-api-key", "caller");
  EXPECT_EQ(upstream_headers(from, upstream, Dialect::kGemini).joined("x-goog-api-key"), "own");
  EXPECT_FALSE(upstream_headers(from, upstream, Dialect::kOther).get("x-goog-api-key"));
  upstream.key.clear();
  upstream.forward_credential = false;
  EXPECT_FALSE(upstream_headers(from, upstream, Dialect::kOpenAiChat).get("authorization"));
}

TEST(AnswerHeaders, AMissSaysWhyAndWhatBecameOfIt) {
  net::Headers headers;
  add_miss_headers(headers,
                   {.why = pipeline::Forwarded::kStale, .stored = true, .collapsed = true, .upstream_status = 200},
                   {.parse_us = 1500, .lookup_us = 2, .upstream_us = -1});
  EXPECT_EQ(headers.get("cache-status"), "payonce; fwd=stale; stored; collapsed");
  EXPECT_EQ(headers.get("server-timing"), "parse;dur=1.500, lookup;dur=0.002");
  net::Headers failed;
  add_miss_headers(failed, {.why = pipeline::Forwarded::kMiss, .upstream_status = 503}, {});
  EXPECT_EQ(failed.get("cache-status"), "payonce; fwd=miss; fwd-status=503");
}

// docs/operations/endpoints.md comes from the table; PAYONCE_UPDATE_DOCS=1 writes it.
TEST(Endpoints, AreDocumented) {
  std::string expected =
      "# Endpoints of Payonce itself\n\nEvery other path goes to an upstream. A caller sees and purges entries of "
      "its own scope;\n"
      "the bearer of the admin token those of every scope (`payonce cache` finds the token of this user's "
      "instance).\n\n"
      "| method | path | what |\n|---|---|---|\n";
  for (const Endpoint& endpoint : endpoint_table())
    expected += fmt::format("| {} | `{}` | {} |\n", endpoint.method, endpoint.path, endpoint.help);
  const std::string path = source_tree::path("docs/operations/endpoints.md");
  if (std::getenv("PAYONCE_UPDATE_DOCS") != nullptr) std::ofstream(path) << expected;
  std::ifstream file(path);
  std::stringstream found;
  found << file.rdbuf();
  EXPECT_EQ(found.str(), expected) << "run this test with PAYONCE_UPDATE_DOCS=1";
}

}  // namespace
}  // namespace payonce::gateway
