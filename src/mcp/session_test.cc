#include "mcp/session.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <memory>

#include "base/temporary_directory.h"
#include "mcp/fake_instance.h"

namespace payonce::mcp {
namespace {

namespace json = boost::json;

const std::string kTools =
    R"({"name":"read","inputSchema":{"type":"object","properties":{"path":{"type":"string"}}},)"
    R"("annotations":{"readOnlyHint":true,"openWorldHint":false}},)"
    R"({"name":"count","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true,"openWorldHint":false}},)"
    R"({"name":"define","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true,"idempotentHint":true}},)"
    R"({"name":"search","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}},)"
    R"({"name":"write","inputSchema":{"type":"object"},"annotations":{"idempotentHint":true}})";

// A client, a server and the session between them, in one thread.
class Wire {
 public:
  // `directory`: where the server runs; empty: one of its own.
  explicit Wire(std::map<std::string, bool> tools = {}, std::string workspace = "", bool lists = true,
                const std::string& directory = "") {
    settings_.command = {"server"};
    settings_.directory = directory.empty() ? folder_.path() : directory;
    settings_.workspace = std::move(workspace);
    settings_.tools = std::move(tools);
    cache_ = std::make_unique<ResultCache>("mcp=w");
    session_ = std::make_unique<Session>(
        settings_, R"("mcp":"w")", *cache_, [this](std::string_view line) { on_own_request(line); }, nullptr);
    client(R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"capabilities":{}}})");
    server(
        R"({"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","serverInfo":{"name":"s","version":"1"}}})");
    if (lists) list();
  }

  void list(const std::string& tools = kTools) {
    client(R"({"jsonrpc":"2.0","id":"list","method":"tools/list"})");
    server(fmt::format(R"({{"jsonrpc":"2.0","id":"list","result":{{"tools":[{}]}}}})", tools));
  }
  // The answer from the cache; nothing: it goes to the server.
  std::optional<std::string> client(const std::string& line) { return session_->on_client_line(line + "\n"); }
  bool server(const std::string& line) {
    const std::string with_feed = line + "\n";
    const bool passed = session_->on_server_line(with_feed);
    session_->passed_on();
    return passed;
  }
  std::optional<std::string> call(const std::string& id, const std::string& tool, const std::string& arguments) {
    return client(
        fmt::format(R"({{"jsonrpc":"2.0","id":{},"method":"tools/call","params":{{"name":"{}","arguments":{}}}}})",
                    id, tool, arguments));
  }
  void answer(const std::string& id, const std::string& result) {
    EXPECT_TRUE(server(fmt::format(R"({{"jsonrpc":"2.0","id":{},"result":{}}})", id, result)));
  }
  // A call that is not answered from the cache, and its answer.
  void ask(const std::string& tool, const std::string& arguments, const std::string& result) {
    const std::string id = std::to_string(next_++);
    EXPECT_FALSE(call(id, tool, arguments)) << tool << arguments;
    answer(id, result);
  }
  bool hits(const std::string& tool, const std::string& arguments) {
    const std::string id = std::to_string(next_++);
    const bool hit = call(id, tool, arguments).has_value();
    if (!hit) (void)server(fmt::format(R"({{"jsonrpc":"2.0","id":{},"error":{{"code":1,"message":"asked"}}}})", id));
    return hit;
  }

  std::string folder() const { return folder_.path(); }
  Session& session() { return *session_; }
  std::vector<std::string> own_requests;

 private:
  void on_own_request(std::string_view line) {
    own_requests.emplace_back(line);
    const json::value request = json::parse(line);
    const std::string id = request.at("id").as_string().c_str();
    const bool second = request.at("params").as_object().contains("cursor");
    std::thread([this, id, second] {  // the server's thread
      (void)server(fmt::format(R"({{"jsonrpc":"2.0","id":"{}","result":{{"tools":[{}]{}}}}})", id,
                               second ? kTools : R"({"name":"other","inputSchema":{}})",
                               second ? "" : R"(,"nextCursor":"p2")"));
    })
        .join();
  }

  base::TemporaryDirectory folder_;
  ProxySettings settings_;
  std::unique_ptr<ResultCache> cache_;
  std::unique_ptr<Session> session_;
  int next_ = 100;
};

const std::string kResult = R"({"content":[{"type":"text","text":"é 1.50"}],"structuredContent":{"n":1.50}})";

class SessionTest : public testing::Test {
 protected:
  FakeInstance instance_;
  Wire wire_;
};

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

}  // namespace
}  // namespace payonce::mcp
