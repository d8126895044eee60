#include "agent/workspace/secrets.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"

namespace payonce::agent {
namespace {

bool is_token_character(char c) { return base::is_alphanumeric(c) || c == '-' || c == '_'; }

struct Token {
  std::string_view prefix;
  size_t length;  // of the characters behind it, at least
};

// Each as its issuer documents it; lengths are a little short of theirs.
constexpr std::array<Token, 21> kTokens{
    {{"sk-ant-", 32}, {"sk-proj-", 32}, {"sk-svcacct-", 32}, {"sk-or-v1-", 32}, {"sk-", 40},         {"ghp_", 36},
     {"gho_", 36},    {"ghu_", 36},     {"ghs_", 36},        {"ghr_", 36},      {"github_pat_", 60}, {"glpat-", 20},
     {"AKIA", 16},    {"ASIA", 16},     {"AIza", 35},        {"xoxb-", 24},     {"xoxp-", 24},       {"sk_live_", 24},
     {"npm_", 36},    {"pypi-", 60},    {"hf_", 34}}};

bool has_token(std::string_view text, const Token& token) {
  for (size_t at = text.find(token.prefix); at != std::string_view::npos; at = text.find(token.prefix, at + 1)) {
    if (at > 0 && is_token_character(text[at - 1])) continue;  // "task-…" holds "sk-"
    size_t end = at + token.prefix.size();
    bool digit = false;  // names in words ("sk-some-long-branch-name…") have none
    while (end < text.size() && is_token_character(text[end])) {
      digit = digit || base::is_digit(text[end]);
      ++end;
    }
    if (end - at - token.prefix.size() >= token.length && digit) return true;
  }
  return false;
}

}  // namespace

bool is_secret_path(std::string_view path) {
  static constexpr std::array<std::string_view, 8> kDirectories = {
      "/.ssh/", "/.aws/", "/.gnupg/", "/.kube/", "/.azure/", "/.docker/", "/secrets/", "/.password-store/"};
  static constexpr std::array<std::string_view, 11> kNames = {
      ".netrc", ".npmrc",     ".pypirc",  ".pgpass", ".git-credentials", "credentials", "credentials.json",
      "id_rsa", "id_ed25519", "id_ecdsa", "shadow"};
  static constexpr std::array<std::string_view, 6> kEndings = {".pem", ".key", ".p12", ".pfx", ".jks", ".kdbx"};
  for (const std::string_view directory : kDirectories)
    if (path.find(directory) != std::string_view::npos) return true;
  const std::string_view name = path.substr(path.rfind('/') + 1);
  if (std::find(kNames.begin(), kNames.end(), name) != kNames.end()) return true;
  if (name == ".env" || (name.starts_with(".env.") && name != ".env.example" && name != ".env.sample")) return true;
  return std::any_of(kEndings.begin(), kEndings.end(), [&](std::string_view e) { return name.ends_with(e); });
}

bool holds_secret(std::string_view text) {
  const size_t begin = text.find("-----BEGIN ");
  if (begin != std::string_view::npos && text.substr(begin, 64).find("PRIVATE KEY-----") != std::string_view::npos)
    return true;
  return std::any_of(kTokens.begin(), kTokens.end(), [&](const Token& token) { return has_token(text, token); });
}

}  // namespace payonce::agent
