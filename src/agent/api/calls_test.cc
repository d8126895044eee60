#include "agent/api/calls.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <boost/json.hpp>

namespace payonce::agent {
namespace {

namespace json = boost::json;

std::string key_of_body(const std::string& body, std::string_view scope = "u-1") {
  identity::PartDigests known;
  auto call = read_lookup(body, known);
  return call ? key_of(*call->question, scope) : "error: " + call.error().message;
}
std::string message(const std::string& body) {
  identity::PartDigests known;
  auto call = read_lookup(body, known);
  return call ? "ok" : call.error().message;
}

TEST(Calls, SpellingMakesNoDifferenceToAKey) {
  const std::string key = key_of_body(R"({"kind":"plan","parts":{"task":"é","n":10,"tools":[{"name":"a","x":1}]}})");
  EXPECT_EQ(key_of_body(R"({ "parts": {"tools":[{"x":1.0, "name":"a"}], "n":1e1,"task":"\u00e9"},"kind":"plan" })"),
            key);
  EXPECT_TRUE(key.starts_with("plan:v1:u-1:")) << key;
}

TEST(Calls, WhatMattersMakesAnotherKey) {
  const std::string base = R"({"kind":"plan","parts":{"task":"a","model":"m"}})";
  const std::vector<std::string> others = {
      R"({"kind":"subagent","parts":{"task":"a","model":"m"}})",
      R"({"kind":"plan","parts":{"task":"b","model":"m"}})",
      R"({"kind":"plan","parts":{"task":"a","model":"m","x":null}})",
      R"({"kind":"plan","parts":{"task":"a"}})",
      R"({"kind":"plan","parts":{"task":"a","model":["m"]}})",
      R"({"kind":"plan","parts":{"task":"a","model":"m"},"versions":{"kb":"1"}})",
      R"({"kind":"plan","parts":{"task":"a","model":"m"},"tools_mode":"used"})"};
  std::vector<std::string> keys = {key_of_body(base), key_of_body(base, "u-2")};
  for (const std::string& other : others) keys.push_back(key_of_body(other));
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(std::adjacent_find(keys.begin(), keys.end()), keys.end());
}

TEST(Calls, ToolsByUseAreNoPartOfTheKey) {
  const auto body = [](std::string_view tools) {
    return R"({"kind":"subagent","tools_mode":"used","parts":{"task":"a","tools":)" + std::string(tools) + "}}";
  };
  EXPECT_EQ(key_of_body(body(R"([{"name":"a"},{"name":"b"}])")), key_of_body(body(R"([{"name":"a","v":2}])")));
  identity::PartDigests known;
  const auto one = read_lookup(body(R"([{"name":"a"},{"name":"b"}])"), known);
  const auto other = read_lookup(body(R"([{"name":"b"},{"name":"a"}])"), known);
  ASSERT_TRUE(one && other);
  EXPECT_EQ(one->question->tools_tag, other->question->tools_tag);  // their order says nothing
  EXPECT_EQ(one->question->deps.size(), 2u);
}

TEST(Calls, ErrorsNameTheField) {
  EXPECT_EQ(message(R"({"kind":"plan","parts":{"a":1},"bogus":1})").substr(0, 20), "bogus: unknown field");
  EXPECT_EQ(message(R"({"kind":"plan"})").substr(0, 6), "parts:");
  EXPECT_EQ(message(R"({"kind":"plan","parts":{}})").substr(0, 6), "parts:");
  EXPECT_EQ(message(R"({"kind":"x","parts":{"a":1}})").substr(0, 5), "kind:");
  EXPECT_EQ(message(R"({"kind":"plan","parts":{"a":1},"deps":[{"type":"file","path":"rel"}]})").substr(0, 13),
            "deps[0].path:");
  EXPECT_EQ(message(R"({"kind":"plan","parts":{"a":1},"deps":[{"type":"file","path":"/a/../b"}]})").substr(0, 13),
            "deps[0].path:");
  EXPECT_EQ(message(R"({"kind":"plan","parts":{"a":1},"deps":[{"type":"value","name":"x"}]})").substr(0, 14),
            "deps[0].value:");
  EXPECT_EQ(message(R"({"kind":"plan","parts":{"a":1},"max_age":-1})").substr(0, 8), "max_age:");
  EXPECT_EQ(message(R"({"kind":"plan","parts":{"a":1,"a":2}})").substr(0, 8), "parts.a:");
  EXPECT_EQ(message("[]"), "expected a JSON object");
  EXPECT_EQ(message("{").substr(0, 5), "body:");
  EXPECT_FALSE(read_commit(R"({"ticket":"t","run":"r","outcome":"success"})"));
  EXPECT_FALSE(read_commit(R"({"ticket":"t","outcome":"success"})"));  // no value
  EXPECT_TRUE(read_commit(R"({"ticket":"t","outcome":"failure"})"));
  EXPECT_FALSE(read_invalidate(R"({"kind":"plan","path":"/a"})"));
  EXPECT_TRUE(read_commit(R"({"ticket":"t","outcome":"success","value":null,"usage":null,"deps":null})"));
  EXPECT_FALSE(read_invalidate("{}"));
  EXPECT_FALSE(read_abort("{}"));
  EXPECT_TRUE(read_hint(R"({"session":"7","next":"idle","expected_in_s":5})"));
  EXPECT_TRUE(read_hint(R"({"session":"7","event":"waiting","expect_return_s":30,"run":"r"})"));
  EXPECT_FALSE(read_hint(R"({"session":"7","event":"sleep"})"));
}

TEST(Calls, UsageOfEitherProviderIsRead) {
  const auto openai = read_commit(
      R"({"ticket":"t","outcome":"success","value":1,"usage":{"prompt_tokens":10,"completion_tokens":3}})");
  ASSERT_TRUE(openai);
  EXPECT_EQ(openai->commit.usage.input(), 10);
  const auto anthropic = read_commit(
      R"({"ticket":"t","outcome":"success","value":1,
          "usage":{"input_tokens":10,"cache_read_input_tokens":5,"output_tokens":3,"cost_usd":0.5}})");
  ASSERT_TRUE(anthropic);
  EXPECT_EQ(anthropic->commit.usage.input(), 15);
  EXPECT_EQ(anthropic->commit.cost_usd, 0.5);
}

// Any value in any order of its members has one key, and a change of any of them another.
RC_GTEST_PROP(Calls, KeysFollowTheParts, ()) {
  using Members = std::map<std::string, std::string>;
  const auto text = rc::gen::container<std::string>(rc::gen::inRange<char>(0, 127));
  const auto members =
      *rc::gen::suchThat(rc::gen::container<Members>(text, text), [](const Members& m) { return !m.empty(); });
  const auto body = [](const std::vector<std::pair<std::string, std::string>>& parts) {
    std::string out;
    for (const auto& [name, value] : parts)
      out +=
          (out.empty() ? "" : ",") + json::serialize(json::string(name)) + ":" + json::serialize(json::string(value));
    return R"({"kind":"llm","parts":{)" + out + "}}";
  };
  std::vector<std::pair<std::string, std::string>> parts(members.begin(), members.end());
  const std::string key = key_of_body(body(parts));
  RC_ASSERT(key.starts_with("llm:"));
  std::reverse(parts.begin(), parts.end());
  RC_ASSERT(key_of_body(body(parts)) == key);
  parts[*rc::gen::inRange<size_t>(0, parts.size())].second += "x";
  RC_ASSERT(key_of_body(body(parts)) != key);
}

RC_GTEST_PROP(Calls, AnyBytesAreReadOrRefused, (const std::string& bytes)) {
  identity::PartDigests known;
  (void)read_lookup(bytes, known);
  (void)read_commit(bytes);
  (void)read_abort(bytes);
  (void)read_invalidate(bytes);
  (void)read_hint(bytes);
}

}  // namespace
}  // namespace payonce::agent
