#include "mcp/server_identity.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/hash.h"
#include "base/wildcard.h"
#include "mcp/path_state.h"

namespace payonce::mcp {
namespace {

// New in every terminal, session or process. Whatever is not named here counts: at worst a hit less.
constexpr std::array<std::string_view, 44> kPassing = {
    "_",          "PWD",           "OLDPWD",         "SHLVL",           "TERM",       "TERM_*",       "COLORTERM",
    "LINES",      "COLUMNS",       "SSH_*",          "TMUX*",           "STY",        "WINDOW",       "WINDOWID",
    "DISPLAY",    "WAYLAND_*",     "XDG_SESSION_*",  "XDG_RUNTIME_DIR", "XDG_VTNR",   "XDG_SEAT*",    "DBUS_*",
    "GPG_*",      "INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_*",       "MANAGERPID", "*_SESSION_ID", "*_PID",
    "PAYONCE_*",  "VSCODE_*",      "ITERM_*",        "KITTY_*",         "WEZTERM_*",  "ALACRITTY_*",  "CLAUDE_CODE_*",
    "CLAUDECODE", "CODEX_*",       "OPENCODE*",      "GEMINI_CLI*",     "QWEN_CODE*", "npm_*",        "PYTEST_*",
    "COLORFGBG",  "AI_AGENT"};

bool is_passing(std::string_view name) {
  return std::any_of(kPassing.begin(), kPassing.end(),
                     [&](std::string_view pattern) { return base::matches_wildcard(pattern, name); });
}

// Files of the command that say what the server does. Data that it works on (a database, its own log) is no part of
// what it is, and changes while it runs.
bool is_code(const std::string& path) {
  static constexpr std::array<std::string_view, 20> kEndings = {
      ".py", ".pyz", ".js",  ".mjs", ".cjs",  ".ts",   ".mts",  ".jar",  ".rb",  ".php",
      ".pl", ".sh",  ".lua", ".exs", ".wasm", ".json", ".toml", ".yaml", ".yml", ".ini"};
  return access(path.c_str(), X_OK) == 0 ||
         std::any_of(kEndings.begin(), kEndings.end(),
                     [&](std::string_view ending) { return path.ends_with(ending); });
}

// The file that a word of the command names: a program in the path, a script, its configuration.
std::string file_named(const std::string& word, const std::string& directory, bool is_program) {
  const auto is_file = [](const std::string& path) {
    struct stat is{};
    return stat(path.c_str(), &is) == 0 && S_ISREG(is.st_mode);
  };
  if (word.starts_with('/')) return is_file(word) ? word : "";
  if (!is_program || word.find('/') != std::string::npos) {
    const std::string path = directory + "/" + word;
    return is_file(path) ? path : "";
  }
  const char* found = getenv("PATH");
  std::string paths = found == nullptr ? "" : found;
  for (size_t begin = 0; begin <= paths.size();) {
    const size_t end = std::min(paths.find(':', begin), paths.size());
    const std::string path = paths.substr(begin, end - begin) + "/" + word;
    if (is_file(path) && access(path.c_str(), X_OK) == 0) return path;
    begin = end + 1;
  }
  return "";
}

std::string process_of(const ProxySettings& settings) {
  std::string words, files;
  for (size_t i = 0; i < settings.command.size(); ++i) {
    words += (i == 0 ? "" : ",") + json_string(settings.command[i]);
    const std::string path = file_named(settings.command[i], settings.directory, i == 0);
    if (!path.empty() && is_code(path)) files += file_state(path).value_or("") + " ";
  }
  return fmt::format(R"("command":[{}],"directory":{},"files":"{}","environment":"{}")", words,
                     json_string(settings.directory), files, environment_digest(environ));
}

std::string or_null(std::string_view raw) { return raw.empty() ? "null" : std::string(raw); }

// What agents add to each call: tokens and ids of the call itself, and of its traces.
bool is_of_the_call(const std::string& key) {
  static constexpr std::array<std::string_view, 8> kKeys = {"progressToken",
                                                            "traceparent",
                                                            "tracestate",
                                                            "baggage",
                                                            "io.modelcontextprotocol/clientInfo",
                                                            "io.modelcontextprotocol/logLevel",
                                                            "claudecode/*",
                                                            "x-codex-*"};
  return std::any_of(kKeys.begin(), kKeys.end(),
                     [&](std::string_view pattern) { return base::matches_wildcard(pattern, key); });
}

}  // namespace

std::string environment_digest(const char* const* entries) {
  std::vector<std::string_view> kept;
  for (; *entries != nullptr; ++entries) {
    const std::string_view entry = *entries;
    if (!is_passing(entry.substr(0, entry.find('=')))) kept.push_back(entry);
  }
  std::sort(kept.begin(), kept.end());
  base::Sha256 hash;
  for (const std::string_view entry : kept) {
    hash.update(entry);
    hash.update(std::string_view("\0", 1));
  }
  return base::hex(hash.finish());
}

ServerIdentity::ServerIdentity(const ProxySettings& settings) : process_(process_of(settings)) {}

void ServerIdentity::client_said(const MessageLine& line, uint32_t params) {
  capabilities_ = or_null(line.raw(line.member(params, "capabilities")));
}

void ServerIdentity::server_said(const MessageLine& line, uint32_t result) {
  const uint32_t meta = line.member(result, "_meta");
  const uint32_t named = line.member(meta, "io.modelcontextprotocol/serverInfo");
  const uint32_t info = named != MessageLine::kNone ? named : line.member(result, "serverInfo");
  if (info != MessageLine::kNone)
    server_ = fmt::format(R"({{"name":{},"version":{}}})", or_null(line.raw(line.member(info, "name"))),
                          or_null(line.raw(line.member(info, "version"))));
  if (const uint32_t protocol = line.member(result, "protocolVersion"); protocol != MessageLine::kNone)
    protocol_ = std::string(line.raw(protocol));
}

void ServerIdentity::roots_are(const MessageLine& line, uint32_t result) {
  roots_ = or_null(line.raw(line.member(result, "roots")));
}

std::string ServerIdentity::parts(const MessageLine& line, uint32_t meta) const {
  std::string said;
  line.each_member(meta, [&](uint32_t key, uint32_t value) {
    if (!is_of_the_call(line.text(key))) said += fmt::format("{}:{},", line.raw(key), line.raw(value));
  });
  if (!said.empty()) said.pop_back();
  return fmt::format(R"("server":{},"protocol":{},"capabilities":{},"roots":{},"meta":{{{}}},{})", server_, protocol_,
                     capabilities_, roots_, said, process_);
}

}  // namespace payonce::mcp
