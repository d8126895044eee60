// What passes between the two peers beside plain calls, and what may happen to a session.
#include <fmt/format.h>

#include <atomic>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <mutex>

#include "mcp/session_fixture.h"

namespace payonce::mcp {
namespace {

TEST_F(SessionTest, AModelOrAUserAskedMeanwhileMakesAResultTheirs) {
  for (const std::string method : {"sampling/createMessage", "elicitation/create"}) {
    EXPECT_FALSE(wire_.call("1", "define", "{}"));
    EXPECT_TRUE(wire_.server(fmt::format(R"({{"jsonrpc":"2.0","id":5,"method":"{}","params":{{}}}})", method)));
    wire_.answer("1", kResult);
    EXPECT_EQ(instance_.entries(), 0U) << method;
  }
}

TEST_F(SessionTest, OtherRootsAreOtherKeys) {
  const auto roots = [&](const std::string& uri) {
    EXPECT_TRUE(wire_.server(R"({"jsonrpc":"2.0","id":9,"method":"roots/list"})"));
    EXPECT_FALSE(wire_.hits("define", "{}"));  // until it knows them
    EXPECT_FALSE(
        wire_.client(fmt::format(R"({{"jsonrpc":"2.0","id":9,"result":{{"roots":[{{"uri":"{}"}}]}}}})", uri)));
  };
  roots("file:///a");
  wire_.ask("define", "{}", kResult);
  EXPECT_TRUE(wire_.hits("define", "{}"));
  EXPECT_FALSE(wire_.client(R"({"jsonrpc":"2.0","method":"notifications/roots/list_changed"})"));
  EXPECT_FALSE(wire_.hits("define", "{}"));
  roots("file:///b");
  EXPECT_FALSE(wire_.hits("define", "{}"));
  roots("file:///a");
  EXPECT_TRUE(wire_.hits("define", "{}"));
}

TEST_F(SessionTest, TokensOfACallAreNoPartOfItsKeyAndOtherMetaIs) {
  const auto with = [&](const std::string& meta) {
    return wire_.client(fmt::format(
        R"({{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"define","_meta":{}}}}})", meta));
  };
  EXPECT_FALSE(with(R"({"progressToken":1,"claudecode/toolUseId":"a"})"));
  wire_.answer("1", kResult);
  EXPECT_TRUE(with(R"({"progressToken":2,"claudecode/toolUseId":"b"})"));
  EXPECT_FALSE(with(R"({"example.com/tenant":"b"})"));
}

TEST_F(SessionTest, TasksAndContinuedCallsPass) {
  wire_.ask("define", "{}", kResult);
  for (const std::string more : {R"("task":{})", R"("inputResponses":{})", R"("requestState":"s")"})
    EXPECT_FALSE(wire_.client(fmt::format(
        R"({{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"define","arguments":{{}},{}}}}})",
        more)));
  EXPECT_TRUE(wire_.hits("define", "{}"));
  EXPECT_FALSE(wire_.client(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write","task":{}}})"));
  wire_.answer("1", kResult);
  wire_.ask("define", "{}", kResult);
  EXPECT_FALSE(wire_.hits("define", "{}"));
}

TEST_F(SessionTest, ABatchPassesAndItsWritesCount) {
  wire_.ask("define", "{}", kResult);
  EXPECT_FALSE(
      wire_.client(R"([{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"define","arguments":{}}},)"
                   R"({"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"write"}}])"));
  EXPECT_FALSE(wire_.hits("define", "{}"));
  EXPECT_TRUE(wire_.server(R"([{"jsonrpc":"2.0","id":2,"result":{}},{"jsonrpc":"2.0","id":1,"result":{}}])"));
  wire_.ask("define", "{}", kResult);
  EXPECT_TRUE(wire_.hits("define", "{}"));
}

TEST_F(SessionTest, WhatIsNotUnderstoodPasses) {
  wire_.ask("define", "{}", kResult);
  for (const std::string line : {"junk", "", "{", "[]", "7", "\"x\"", R"({"id":1})",
                                 R"({"jsonrpc":"2.0","method":7})", "\xff\xfe", R"({"id":{},"method":"x"})"}) {
    EXPECT_FALSE(wire_.client(line));
    EXPECT_TRUE(wire_.server(line));
  }
  EXPECT_TRUE(wire_.hits("define", "{}"));
}

TEST_F(SessionTest, ACallThatTwoReadersCouldReadInTwoWaysIsTakenForAWrite) {
  wire_.ask("define", "{}", kResult);
  EXPECT_FALSE(wire_.client(R"({"id":1,"method":"ping","method":"tools/call","params":{"name":"write"}})"));
  EXPECT_FALSE(wire_.hits("define", "{}"));
  EXPECT_EQ(instance_.entries(), 0U);
}

TEST_F(SessionTest, AMessageTooLongToBeReadEndsCaching) {
  wire_.ask("define", "{}", kResult);
  wire_.session().on_server_piece();
  EXPECT_FALSE(wire_.hits("define", "{}"));
}

TEST_F(SessionTest, RequestsOfADeadServerGetAnError) {
  EXPECT_FALSE(wire_.call(R"("a\"1")", "define", "{}"));
  EXPECT_FALSE(wire_.client(R"({"jsonrpc":"2.0","id":7,"method":"ping"})"));
  const std::string lines = wire_.session().unanswered("the server ended \"so\"");
  EXPECT_NE(lines.find(R"("id":"a\"1","error":{"code":-32000,"message":"the server ended \"so\""})"),
            std::string::npos);
  EXPECT_NE(lines.find(R"("id":7,)"), std::string::npos);
  EXPECT_EQ(wire_.session().unanswered("again"), "");
}

TEST(Session, AskedForItselfWhenTheClientDoesNotListItsTools) {
  FakeInstance instance;
  Wire wire({}, "", /*lists=*/false);
  wire.ask("define", "{}", kResult);
  EXPECT_TRUE(wire.hits("define", "{}"));
  ASSERT_EQ(wire.own_requests.size(), 2U);  // two pages
  EXPECT_NE(wire.own_requests[1].find(R"("cursor":"p2")"), std::string::npos);
  wire.ask("nobody knows", "{}", kResult);  // once asked, that is a write
  EXPECT_EQ(wire.own_requests.size(), 2U);
  EXPECT_FALSE(wire.hits("define", "{}"));
}

TEST(Session, TheUserChooses) {
  FakeInstance instance;
  Wire wire({{"search", true}, {"define", false}});
  wire.ask("search", "{}", kResult);
  EXPECT_TRUE(wire.hits("search", "{}"));
  wire.ask("define", "{}", kResult);
  EXPECT_FALSE(wire.hits("define", "{}"));
  EXPECT_TRUE(wire.hits("search", "{}"));  // it still only reads
}

TEST(Session, AWorkspaceIsADependencyOfEveryCall) {
  FakeInstance instance;
  base::TemporaryDirectory workspace;
  std::ofstream(workspace.path() + "/a") << "1";
  std::this_thread::sleep_for(std::chrono::milliseconds(30));  // beyond a tick of the file system's clock
  Wire wire({}, workspace.path());
  wire.ask("count", "{}", kResult);
  EXPECT_TRUE(wire.hits("count", "{}"));
  std::ofstream(workspace.path() + "/b") << "2";
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_FALSE(wire.hits("count", "{}"));
}

TEST(Session, AnotherSessionSharesWhatIsCheckedAndAnotherCredentialOrDirectoryNever) {
  FakeInstance instance;
  base::TemporaryDirectory directory;
  setenv("PAYONCE_API_KEY", "sk-ann", 1);
  {
    Wire first({}, "", true, directory.path());
    first.ask("define", "{}", kResult);
    first.ask("count", "{}", kResult);
    EXPECT_TRUE(first.hits("count", "{}"));
  }
  Wire second({}, "", true, directory.path());
  EXPECT_TRUE(second.hits("define", "{}"));
  EXPECT_FALSE(second.hits("count", "{}"));  // its server may have begun anew
  Wire elsewhere;
  EXPECT_FALSE(elsewhere.hits("define", "{}"));
  setenv("PAYONCE_API_KEY", "sk-ben", 1);
  Wire other({}, "", true, directory.path());
  EXPECT_FALSE(other.hits("define", "{}"));
  unsetenv("PAYONCE_API_KEY");
}

TEST(Session, WithoutAnInstanceEverythingPasses) {
  setenv("PAYONCE_SOCKET", "/tmp/payonce-no-such.sock", 1);
  Wire wire;
  for (int i = 0; i < 3; ++i) {
    wire.ask("define", "{}", kResult);
    wire.ask("write", "{}", kResult);
  }
  unsetenv("PAYONCE_SOCKET");
}

// As in the proxy: calls on the client's thread, answers and changes on the server's.
TEST(Session, TwoThreadsNeverGiveAnOldAnswerAfterAWrite) {
  FakeInstance instance;
  Wire wire;
  std::atomic<int> state{0};
  std::atomic<int> confirmed{0};  // the state of the last write whose answer the client has
  std::atomic<bool> done{false};
  std::mutex mutex;
  std::deque<std::pair<std::string, std::string>> asked;  // id, tool
  std::thread server([&] {
    for (;;) {
      std::pair<std::string, std::string> call;
      {
        const std::lock_guard lock(mutex);
        if (asked.empty()) {
          if (done) return;
          continue;
        }
        call = asked.front();
        asked.pop_front();
      }
      if (call.second == "write") ++state;
      wire.answer(call.first, fmt::format(R"({{"content":[],"state":{}}})", state.load()));
      if (call.second == "write") confirmed = state.load();
      if (call.second == "define" && state % 3 == 0)
        (void)wire.server(R"({"jsonrpc":"2.0","method":"notifications/resources/updated"})");
    }
  });
  int hits = 0;
  for (int i = 0; i < 2000; ++i) {
    const std::string id = std::to_string(i), tool = i % 20 == 19 ? "write" : "define";
    const int before = confirmed;
    if (const auto answer = wire.call(id, tool, "{}")) {
      ++hits;
      EXPECT_GE(boost::json::parse(*answer).at("result").at("state").to_number<int>(), before);
    } else {
      std::unique_lock lock(mutex);
      asked.emplace_back(id, tool);
      // A client has a few calls on their way at once, not hundreds.
      while (asked.size() > 1) {
        lock.unlock();
        std::this_thread::yield();
        lock.lock();
      }
    }
  }
  done = true;
  server.join();
  EXPECT_GT(hits, 0);
}

}  // namespace
}  // namespace payonce::mcp
