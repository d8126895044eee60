// Which calls are answered, which results are kept, what makes them void.
#include <fmt/format.h>

#include <fstream>

#include "mcp/session_fixture.h"

namespace payonce::mcp {
namespace {

namespace json = boost::json;

TEST_F(SessionTest, ASecondCallIsAnsweredWithTheSameResultUnderItsOwnId) {
  wire_.ask("define", R"({"word":"a","n":[1,2]})", kResult);
  const auto answer = wire_.call(R"("x\n1")", "define", R"({ "n" : [1, 2], "word" : "a" })");
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->ends_with("}\n"));
  const json::value told = json::parse(*answer);
  EXPECT_EQ(told.at("id"), json::value("x\n1"));
  EXPECT_EQ(told.at("jsonrpc"), json::value("2.0"));
  EXPECT_EQ(told.at("result"), json::parse(kResult));
  EXPECT_FALSE(wire_.hits("define", R"({"word":"b","n":[1,2]})"));
}

TEST_F(SessionTest, OnlyGoodAnswersAreKept) {
  for (const std::string result :
       {R"({"content":[],"isError":true})", R"({"resultType":"input_required","requestState":"s"})",
        R"({"resultType":"task","content":[]})", R"([1])", "null"}) {
    wire_.ask("define", R"({"word":"a"})", result);
    EXPECT_FALSE(wire_.hits("define", R"({"word":"a"})")) << result;
  }
  EXPECT_EQ(instance_.entries(), 0U);
  EXPECT_EQ(instance_.open_tickets(), 0U);
  wire_.ask("define", R"({"word":"a"})", R"({"resultType":"complete","content":[],"isError":false})");
  EXPECT_TRUE(wire_.hits("define", R"({"word":"a"})"));
}

TEST_F(SessionTest, ToolsThatNothingVouchesForPass) {
  wire_.ask("search", "{}", kResult);
  EXPECT_FALSE(wire_.hits("search", "{}"));
  EXPECT_TRUE(instance_.lookups().empty());
}

TEST_F(SessionTest, AWriteMakesAllVoidAndNothingHitsMeanwhile) {
  wire_.ask("define", "{}", kResult);
  ASSERT_TRUE(wire_.hits("define", "{}"));
  EXPECT_FALSE(wire_.call("1", "write", "{}"));
  EXPECT_EQ(instance_.entries(), 0U);
  wire_.ask("define", "{}", kResult);  // while it is on its way
  EXPECT_EQ(instance_.entries(), 0U);
  wire_.answer("1", kResult);
  wire_.ask("define", "{}", kResult);
  EXPECT_TRUE(wire_.hits("define", "{}"));
}

TEST_F(SessionTest, AReadThatBeganBeforeAWriteIsNotKept) {
  EXPECT_FALSE(wire_.call("1", "define", "{}"));
  wire_.ask("write", "{}", kResult);
  wire_.answer("1", kResult);
  EXPECT_EQ(instance_.entries(), 0U);
  EXPECT_FALSE(wire_.hits("define", "{}"));
}

TEST_F(SessionTest, ACancelledWriteGoesOnForAWhile) {
  EXPECT_FALSE(wire_.call("1", "write", "{}"));
  EXPECT_FALSE(wire_.client(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}})"));
  wire_.ask("define", "{}", kResult);
  EXPECT_FALSE(wire_.hits("define", "{}"));
  EXPECT_EQ(wire_.session().unanswered("gone"), "");  // nobody waits for it
}

TEST_F(SessionTest, ACancelledReadLeavesNothingBehind) {
  EXPECT_FALSE(wire_.call("1", "define", "{}"));
  EXPECT_EQ(instance_.open_tickets(), 1U);
  EXPECT_FALSE(wire_.client(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}})"));
  EXPECT_EQ(instance_.open_tickets(), 0U);
  wire_.answer("1", kResult);
  EXPECT_EQ(instance_.entries(), 0U);
}

TEST_F(SessionTest, WhatTheServerSaysHasChangedIsVoid) {
  for (const std::string method : {"notifications/tools/list_changed", "notifications/resources/updated",
                                   "notifications/resources/list_changed"}) {
    wire_.ask("define", "{}", kResult);
    ASSERT_TRUE(wire_.hits("define", "{}"));
    EXPECT_TRUE(wire_.server(fmt::format(R"({{"jsonrpc":"2.0","method":"{}"}})", method)));
    if (method == "notifications/tools/list_changed") wire_.list();
    EXPECT_FALSE(wire_.hits("define", "{}")) << method;
  }
  wire_.ask("define", "{}", kResult);
  EXPECT_TRUE(wire_.server(R"({"jsonrpc":"2.0","method":"notifications/message","params":{}})"));
  EXPECT_TRUE(wire_.hits("define", "{}"));
}

TEST_F(SessionTest, AnotherDefinitionIsAnotherTool) {
  wire_.ask("define", "{}", kResult);
  wire_.list(R"({"name":"define","description":"new","inputSchema":{},)"
             R"("annotations":{"readOnlyHint":true,"idempotentHint":true}})");
  EXPECT_FALSE(wire_.hits("define", "{}"));
  wire_.list();
  EXPECT_TRUE(wire_.hits("define", "{}"));
}

TEST_F(SessionTest, AFileThatChangesMakesItsResultsStaleAndNoOthers) {
  const std::string a = wire_.folder() + "/a.txt", b = wire_.folder() + "/b.txt";
  std::ofstream(a) << "one";
  std::ofstream(b) << "one";
  wire_.ask("read", R"({"path":"a.txt"})", kResult);
  wire_.ask("read", fmt::format(R"({{"path":"{}"}})", b), kResult);
  EXPECT_TRUE(wire_.hits("read", R"({"path":"a.txt"})"));
  std::ofstream(a) << "two";
  EXPECT_FALSE(wire_.hits("read", R"({"path":"a.txt"})"));
  EXPECT_TRUE(wire_.hits("read", fmt::format(R"({{"path":"{}"}})", b)));
}

TEST_F(SessionTest, AFileThatChangesWhileItIsReadIsNotKept) {
  const std::string a = wire_.folder() + "/a.txt";
  std::ofstream(a) << "one";
  EXPECT_FALSE(wire_.call("1", "read", R"({"path":"a.txt"})"));
  std::ofstream(a) << "other";
  wire_.answer("1", kResult);
  EXPECT_EQ(instance_.entries(), 0U);
}

TEST_F(SessionTest, APathThatOnlyTheServerKnowsPasses) {
  wire_.ask("read", R"({"path":"no/such.txt"})", kResult);
  EXPECT_FALSE(wire_.hits("read", R"({"path":"no/such.txt"})"));
  EXPECT_TRUE(instance_.lookups().empty());
}

TEST_F(SessionTest, WhatNothingCanBeSeenOfStaysInItsSession) {
  wire_.ask("count", "{}", kResult);
  wire_.ask("define", "{}", kResult);
  EXPECT_TRUE(wire_.hits("count", "{}"));
  const auto lookups = instance_.lookups();
  EXPECT_NE(lookups[0].at("parts").at("session"), json::value(""));
  EXPECT_EQ(lookups[1].at("parts").at("session"), json::value(""));
  EXPECT_EQ(lookups[0].at("max_age"), json::value(kUncheckedTtlS));
}

}  // namespace
}  // namespace payonce::mcp
