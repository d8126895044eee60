// The parts below a session: lines, messages, the rule for tools, inputs, the server's identity.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/temporary_directory.h"
#include "mcp/inputs.h"
#include "mcp/line_reader.h"
#include "mcp/message.h"
#include "mcp/path_state.h"
#include "mcp/server_identity.h"
#include "mcp/tool_table.h"

namespace payonce::mcp {
namespace {

namespace fs = std::filesystem;

TEST(LineReader, HandsOnEveryByteInOrderHoweverItComes) {
  EXPECT_TRUE(rc::check("lines and pieces together are the input", [] {
    const auto text = *rc::gen::container<std::string>(rc::gen::element('a', 'b', '\n'));
    const auto step = *rc::gen::inRange<size_t>(1, 9);
    const auto limit = *rc::gen::inRange<size_t>(1, 6);
    LineReader reader(limit);
    std::string out;
    for (size_t at = 0; at < text.size(); at += step)
      reader.feed(
          std::string_view(text).substr(at, step),
          [&](std::string_view line) {
            RC_ASSERT(line.size() <= limit && line.ends_with('\n'));
            RC_ASSERT(line.find('\n') == line.size() - 1);
            out += line;
          },
          [&](std::string_view piece) { out += piece; });
    out += reader.rest();
    RC_ASSERT(out == text);
  }));
}

MessageKind kind_of(const std::string& line) {
  const auto parsed = MessageLine::parse(line);
  return parsed && parsed->messages().size() == 1 ? parsed->messages()[0].kind : MessageKind::kUnclear;
}

TEST(Message, KindsAreTold) {
  EXPECT_EQ(kind_of(R"({"jsonrpc":"2.0","id":1,"method":"ping"})"), MessageKind::kRequest);
  EXPECT_EQ(kind_of(R"({"jsonrpc":"2.0","method":"notifications/x"})"), MessageKind::kNotification);
  EXPECT_EQ(kind_of(R"({"jsonrpc":"2.0","id":"a","result":{}})"), MessageKind::kResponse);
  EXPECT_EQ(kind_of(R"({"jsonrpc":"2.0","id":1,"error":{"code":1}})"), MessageKind::kResponse);
  for (const char* line : {R"({"id":1,"id":2,"method":"x"})", R"({"id":null,"method":"x"})", R"({"id":1})",
                           R"({"id":1,"method":"x","result":{}})", R"({"id":1,"result":{},"error":{}})",
                           R"({"method":["x"]})", "3", "junk", "[]"})
    EXPECT_EQ(kind_of(line), MessageKind::kUnclear) << line;
}

TEST(Message, IdsAreEqualAsJsonValuesAre) {
  const auto id = [](const std::string& line) { return MessageLine::parse(line)->messages()[0].id; };
  EXPECT_EQ(id(R"({"id":"a\u0062","method":"x"})"), id(R"({"id":"ab","result":1})"));
  EXPECT_NE(id(R"({"id":"1","method":"x"})"), id(R"({"id":1,"method":"x"})"));
}

ToolUse use_of(const std::string& annotations, std::map<std::string, bool> chosen = {}) {
  const std::string text =
      fmt::format(R"({{"tools":[{{"name":"t","inputSchema":{{}},"annotations":{{{}}}}}]}})", annotations);
  ToolTable table(std::move(chosen));
  table.add(*MessageLine::parse(text), 0, true);
  return table.find("t")->use;
}

TEST(ToolTable, TheRule) {
  EXPECT_EQ(use_of(""), ToolUse::kWrite);
  EXPECT_EQ(use_of(R"("readOnlyHint":false,"idempotentHint":true,"openWorldHint":false)"), ToolUse::kWrite);
  EXPECT_EQ(use_of(R"("idempotentHint":true)"), ToolUse::kWrite);
  EXPECT_EQ(use_of(R"("readOnlyHint":true)"), ToolUse::kRead);
  EXPECT_EQ(use_of(R"("readOnlyHint":true,"openWorldHint":true)"), ToolUse::kRead);
  EXPECT_EQ(use_of(R"("readOnlyHint":true,"openWorldHint":false)"), ToolUse::kCache);
  EXPECT_EQ(use_of(R"("readOnlyHint":true,"idempotentHint":true)"), ToolUse::kCache);
  EXPECT_EQ(use_of(R"("readOnlyHint":true,"idempotentHint":true,"openWorldHint":true)"), ToolUse::kCache);
  EXPECT_EQ(use_of(R"("readOnlyHint":"true","openWorldHint":false)"), ToolUse::kWrite);  // no boolean, no hint
  EXPECT_EQ(use_of("", {{"t", true}}), ToolUse::kCache);
  EXPECT_EQ(use_of(R"("readOnlyHint":true,"openWorldHint":false)", {{"t", false}}), ToolUse::kRead);
  EXPECT_EQ(use_of("", {{"t", false}}), ToolUse::kWrite);
}

TEST(ToolTable, NamesOfPaths) {
  for (const char* name : {"path", "file_path", "filePath", "dir", "targetDirectory", "root-dir", "files", "PATH"})
    EXPECT_TRUE(is_path_name(name)) << name;
  for (const char* name : {"query", "profile", "pathology", "direction", "uri", "", "rooted"})
    EXPECT_FALSE(is_path_name(name)) << name;
}

class InputsTest : public testing::Test {
 protected:
  InputsTest() {
    fs::create_directories(at("sub/deep"));
    write("a.txt", "a");
    write("sub/b.txt", "b");
    settle();
  }
  std::string at(const std::string& name) const { return folder_.path() + "/" + name; }
  void write(const std::string& name, const std::string& text) const { std::ofstream(at(name)) << text; }
  static void settle() { std::this_thread::sleep_for(std::chrono::milliseconds(30)); }
  Inputs find(const std::string& arguments, const std::set<std::string>& names = {}) const {
    const InputFinder finder({folder_.path()}, "");
    return finder.find(*MessageLine::parse(arguments), 0, names);
  }
  std::vector<std::string> paths(const std::string& arguments) const {
    std::vector<std::string> out;
    for (const Input& input : find(arguments).found) out.push_back(fs::relative(input.path, folder_.path()).string());
    return out;
  }
  base::TemporaryDirectory folder_;
};

TEST_F(InputsTest, WhateverNamesSomethingHereIsAnInput) {
  using Paths = std::vector<std::string>;
  EXPECT_EQ(paths(R"({"path":"a.txt"})"), Paths{"a.txt"});
  EXPECT_EQ(paths(fmt::format(R"({{"x":["{}","file://{}"]}})", at("a.txt"), at("sub/b.txt"))),
            (Paths{"a.txt", "sub/b.txt"}));
  EXPECT_EQ(paths(R"({"paths":["./sub/../a.txt","a.txt"]})"), Paths{"a.txt"});
  EXPECT_EQ(paths(R"({"q":"a.txt"})"), Paths{"a.txt"});
  EXPECT_EQ(paths(R"({"dir":"sub/"})"), Paths{"sub"});
  EXPECT_EQ(paths(R"({"files":"sub/*.txt"})"), Paths{"sub"});
  EXPECT_EQ(paths(R"({"q":"sub"})"), Paths{});  // a word
  EXPECT_EQ(paths(R"({"path":"https://example.test/a.txt"})"), Paths{});
  EXPECT_EQ(find(R"({"q":"hello world"})").unseen, "");
}

TEST_F(InputsTest, AMeantPathThatCannotBeCheckedIsSaid) {
  EXPECT_NE(find(R"({"path":"nowhere.txt"})").unseen, "");
  EXPECT_NE(find(R"({"x":"nowhere.txt"})", {"x"}).unseen, "");
  EXPECT_EQ(find(R"({"x":"nowhere.txt"})").unseen, "");
  EXPECT_NE(find(R"({"path":"/dev/null"})").unseen, "");
  EXPECT_NE(find(R"({"path":"/"})").unseen, "");  // too large
}

TEST_F(InputsTest, AWordThatHappensToBeAFilesNameVouchesForNothing) {
  EXPECT_TRUE(find(R"({"path":"a.txt"})").are_named);
  EXPECT_TRUE(find(fmt::format(R"({{"x":"{}"}})", at("a.txt"))).are_named);
  EXPECT_FALSE(find(R"({"query":"a.txt"})").are_named);
  EXPECT_FALSE(find(R"({"query":"/regular expression/"})").are_named);
  EXPECT_TRUE(find(R"({"path":"/no/such/file"})").are_named);
}

TEST_F(InputsTest, PathsThatGoUpBehindALinkCannotBeChecked) {
  base::TemporaryDirectory elsewhere;
  fs::create_directories(elsewhere.path() + "/down");
  std::ofstream(elsewhere.path() + "/a.txt") << "another";
  fs::create_directory_symlink(elsewhere.path() + "/down", at("link"));
  EXPECT_EQ(find(R"({"path":"sub/../a.txt"})").unseen, "");
  EXPECT_NE(find(R"({"path":"link/../a.txt"})").unseen, "");  // that is elsewhere's
}

TEST_F(InputsTest, AFileThatHidesAnotherIsAnotherPartOfTheKey) {
  const InputFinder finder({folder_.path(), at("sub")}, "");
  const auto part = [&] { return as_part(finder.find(*MessageLine::parse(R"({"path":"b.txt"})"), 0, {})); };
  const std::string before = part();
  write("b.txt", "hides sub/b.txt");
  EXPECT_NE(part(), before);
}

TEST_F(InputsTest, AnythingWrittenBelowADirectoryChangesItsState) {
  const Inputs before = find(R"({"path":"."})");
  ASSERT_EQ(before.found.size(), 1U) << before.unseen;
  EXPECT_TRUE(InputFinder::are_unchanged(before));
  const auto times = fs::last_write_time(at("sub/b.txt"));
  write("sub/b.txt", "c");  // equal size, and the old time
  fs::last_write_time(at("sub/b.txt"), times);
  settle();
  EXPECT_FALSE(InputFinder::are_unchanged(before));
}

TEST_F(InputsTest, AnAbsentFileIsAnInput) {
  const Inputs before = find(fmt::format(R"({{"path":"{}"}})", at("new.txt")));
  ASSERT_EQ(before.found.size(), 1U);
  EXPECT_EQ(before.unseen, "");
  EXPECT_TRUE(InputFinder::are_unchanged(before));
  write("new.txt", "x");
  EXPECT_FALSE(InputFinder::are_unchanged(before));
}

TEST_F(InputsTest, LinksThatLeadOutOfATreeCannotBeChecked) {
  base::TemporaryDirectory elsewhere;
  fs::create_directory_symlink(at("sub"), at("inside"));
  settle();
  EXPECT_EQ(find(R"({"path":"."})").unseen, "");
  fs::create_directory_symlink(elsewhere.path(), at("outside"));
  settle();
  EXPECT_NE(find(R"({"path":"."})").unseen, "");
}

TEST_F(InputsTest, AsDependencies) {
  const Inputs inputs{.found = {{InputKind::kFile, "/a\"b", "1"}, {InputKind::kAbsent, "/c", "absent"}},
                      .unseen = ""};
  EXPECT_EQ(as_deps(inputs), R"([{"type":"file","path":"/a\"b"},{"type":"value","name":"stat:/a\"b","value":"1"},)"
                             R"({"type":"value","name":"stat:/c","value":"absent"}])");
  EXPECT_EQ(as_deps({}), "[]");
}

TEST(ServerIdentity, WhatIsNewInEveryTerminalDoesNotCountAndTheRestDoes) {
  const auto digest = [](std::vector<const char*> entries) {
    entries.push_back(nullptr);
    return environment_digest(entries.data());
  };
  EXPECT_EQ(digest({"A=1", "B=2"}),
            digest({"B=2", "A=1", "TERM=xterm", "X_SESSION_ID=7", "PAYONCE_API_KEY=k", "_=x"}));
  EXPECT_NE(digest({"DATABASE_URL=a"}), digest({"DATABASE_URL=b"}));
  EXPECT_NE(digest({"A=1"}), digest({}));
}

}  // namespace
}  // namespace payonce::mcp
