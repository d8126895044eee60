// Messages of MCP from both sides, without an instance: every byte that came is handed on, no call is answered, and
// what the session writes itself is JSON.
#include <cstdlib>
#include <string>

#include "fuzz.h"
#include "llm/json_tape.h"
#include "mcp/line_reader.h"
#include "mcp/session.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace payonce::mcp;
  static const bool kAlone = setenv("PAYONCE_SOCKET", "/nowhere/payonce.sock", 1) == 0;
  PAYONCE_FUZZ_CHECK(kAlone);
  static const ProxySettings kSettings = {
      .command = {"server"}, .directory = "/nowhere", .workspace = "", .tools = {}, .ttl_s = {}, .verbose = false};
  static ResultCache cache("mcp=w");
  const auto check_lines = [](std::string_view lines) {
    while (!lines.empty()) {
      const size_t end = lines.find('\n');
      PAYONCE_FUZZ_CHECK(end != std::string_view::npos && payonce::llm::Tape::parse(lines.substr(0, end)));
      lines.remove_prefix(end + 1);
    }
  };
  Session* asking = nullptr;
  const auto refuse = [&](std::string_view line) {  // the proxy's own question, so that it doesn't wait
    check_lines(line);
    const auto question = MessageLine::parse(line);
    PAYONCE_FUZZ_CHECK(question && question->messages()[0].kind == MessageKind::kRequest);
    const std::string id(question->raw(question->member(0, "id")));
    PAYONCE_FUZZ_CHECK(!asking->on_server_line("{\"id\":" + id + ",\"error\":{}}"));
  };
  Session session(kSettings, R"("mcp":"w")", cache, refuse, nullptr);
  asking = &session;
  (void)session.on_client_line(R"({"id":"l","method":"tools/list"})");
  (void)session.on_server_line(
      R"({"id":"l","result":{"tools":[{"name":"r","annotations":{"readOnlyHint":true,"idempotentHint":true}}]}})");
  session.passed_on();

  const std::string_view text = payonce::fuzz::text(data, size);
  LineReader reader(4096);
  std::string out;
  bool from_client = true;
  for (size_t at = 0; at < text.size(); at += 61)
    reader.feed(
        text.substr(at, 61),
        [&](std::string_view line) {
          out += line;
          if (from_client) PAYONCE_FUZZ_CHECK(!session.on_client_line(line));
          if (!from_client) (void)session.on_server_line(line);
          session.passed_on();
          from_client = !from_client;
        },
        [&](std::string_view piece) {
          out += piece;
          session.on_client_piece();
        });
  out += reader.rest();
  PAYONCE_FUZZ_CHECK(out == text);
  check_lines(session.unanswered("gone"));
  return 0;
}
