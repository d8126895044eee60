// Which server it is, so that two that could answer differently never share an answer: its command, the files that
// the command names, its working directory and environment, what it calls itself, and what the client told it.
// Threads: one at a time.
#pragma once

#include <string>
#include <string_view>

#include "mcp/message.h"
#include "mcp/settings.h"

namespace payonce::mcp {

class ServerIdentity {
 public:
  explicit ServerIdentity(const ProxySettings& settings);

  // From an initialize or server/discover exchange, from a roots/list answer; each replaces what was known before.
  void client_said(const MessageLine& line, uint32_t params);
  void server_said(const MessageLine& line, uint32_t result);
  void roots_are(const MessageLine& line, uint32_t result);

  // Members of a lookup's "parts" without braces: "server":{…},"protocol":…,…
  // `meta`: the call's params._meta, which since 2026-07-28 says what initialize said before.
  std::string parts(const MessageLine& line, uint32_t meta) const;

 private:
  const std::string process_;  // JSON members: command, directory, digests of its files and environment
  std::string server_ = "null";
  std::string protocol_ = "null";
  std::string capabilities_ = "null";
  std::string roots_ = "null";
};

// The environment as far as it may change what a server answers: without what names a terminal, a session, a process.
// `entries`: "NAME=value".
std::string environment_digest(const char* const* entries);

}  // namespace payonce::mcp
