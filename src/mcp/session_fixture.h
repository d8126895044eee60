// For tests: a client, a server and the session between them, with an instance of their own.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <memory>
#include <thread>

#include "base/temporary_directory.h"
#include "mcp/fake_instance.h"
#include "mcp/session.h"

namespace payonce::mcp {

inline const std::string kTools =
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
    const boost::json::value request = boost::json::parse(line);
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

inline const std::string kResult = R"({"content":[{"type":"text","text":"é 1.50"}],"structuredContent":{"n":1.50}})";

class SessionTest : public testing::Test {
 protected:
  FakeInstance instance_;
  Wire wire_;
};

}  // namespace payonce::mcp
