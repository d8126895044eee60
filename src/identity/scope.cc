#include "identity/scope.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/ascii.h"
#include "base/find_any.h"
#include "net/field_list.h"

namespace payonce::identity {
namespace {

constexpr size_t kMaxPartBytes = 200;
constexpr size_t kMaxParts = 8;
constexpr size_t kIdHexDigits = 32;  // 128 bits

bool is_known_credential(std::string_view name) {
  for (const std::string_view known : {"authorization", "x-api-key", "api-key", "x-goog-api-key"})
    if (net::equals_ignoring_case(name, known)) return true;
  return false;
}

// Each of the credentials that we know, without its scheme.
std::vector<std::string_view> known_credentials(const net::Headers& headers) {
  std::vector<std::string_view> out;
  headers.for_each([&](std::string_view name, std::string_view value) {
    if (!is_known_credential(name)) return;
    constexpr std::string_view kBearer = "bearer ";
    if (net::equals_ignoring_case(name, "authorization")) {
      if (value.size() > kBearer.size() && net::equals_ignoring_case(value.substr(0, kBearer.size()), kBearer))
        value.remove_prefix(kBearer.size());
    }
    out.push_back(net::trim(value));
  });
  std::erase_if(out, [](std::string_view one) { return one.empty(); });
  return out;
}

constexpr std::string_view kTellingWords[] = {"auth",   "authorization", "authentication", "token",    "apikey",
                                              "secret", "credential",    "credentials",    "password", "jwt"};

// A word of a field's name, "x-auth-token", that says that its value tells who asks.
bool is_telling(std::string_view word, std::string_view before) {
  for (const std::string_view telling : kTellingWords)
    if (net::equals_ignoring_case(word, telling)) return true;
  return net::equals_ignoring_case(word, "key") && net::equals_ignoring_case(before, "api");
}

bool is_part(std::string_view part) {
  if (part == "public") return true;
  if (part.size() > kMaxPartBytes) return false;
  for (const std::string_view kind : {"team:", "user:", "session:"})
    if (part.starts_with(kind) && part.size() > kind.size())
      return std::all_of(part.begin(), part.end(), base::is_graphic);
  return false;
}

// Sorted, without repeats. The header may come several times, and hold several parts separated by commas.
base::Result<std::vector<std::string>> requested_parts(const net::Headers& headers) {
  std::vector<std::string> parts;
  base::Status status;
  net::for_each_item(headers.joined("x-payonce-scope"), [&](std::string_view part) {
    if (is_part(part))
      parts.emplace_back(part);
    else if (status)  // the first is named
      status = base::fail(
          base::Code::kInvalid,
          fmt::format("X-Payonce-Scope: '{}' is not a scope part; use team:NAME, user:ID, session:ID or public",
                      part.substr(0, 60)));
  });
  PAYONCE_CHECK_OK(std::move(status));
  if (parts.size() > kMaxParts)
    return base::fail(base::Code::kInvalid,
                      fmt::format("X-Payonce-Scope: {} parts; at most {}", parts.size(), kMaxParts));
  std::sort(parts.begin(), parts.end());
  parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
  return parts;
}

bool owns(const VirtualKey& key, std::string_view part) {
  return std::any_of(key.scopes.begin(), key.scopes.end(), [&](const std::string& scope) {
    return scope == part ||
           (scope.ends_with(":*") && part.starts_with(std::string_view(scope).substr(0, scope.size() - 1)));
  });
}

}  // namespace

bool may_be_credential(std::string_view name) {
  if (is_known_credential(name)) return true;
  constexpr std::string_view kOurs = "x-payonce-";
  if (name.size() >= kOurs.size() && net::equals_ignoring_case(name.substr(0, kOurs.size()), kOurs)) return false;
  std::string_view before;
  while (!name.empty()) {
    const size_t end = base::find_any<'-', '_'>(name);
    const std::string_view word = name.substr(0, end);
    if (is_telling(word, before)) return true;
    before = word;
    name.remove_prefix(end == std::string_view::npos ? name.size() : end + 1);
  }
  return false;
}

std::string credential_of(const net::Headers& headers) {
  std::string out;
  for (const std::string_view one : known_credentials(headers)) out.append(out.empty() ? "" : "\n").append(one);
  headers.for_each([&](std::string_view name, std::string_view value) {
    if (is_known_credential(name) || !may_be_credential(name) || value.empty()) return;
    out.append(out.empty() ? "" : "\n").append(name).append(": ").append(value);
  });
  // Cookies change on their own, so they count where nothing else tells who asks.
  if (out.empty())
    if (const std::string cookies = headers.joined("cookie"); !cookies.empty()) out = "cookie: " + cookies;
  return out;
}

bool may_hold_credential(std::string_view target) {
  const size_t mark = target.find('?');
  std::string_view query = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  while (!query.empty()) {
    const size_t end = query.find('&');
    const std::string_view name = query.substr(0, std::min(end, query.find('=')));
    const bool plain = name.find('%') == std::string_view::npos;
    if (!plain || net::equals_ignoring_case(name, "key") || net::equals_ignoring_case(name, "sig") ||
        net::equals_ignoring_case(name, "subscription-key") || may_be_credential(name))
      return true;
    query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
  }
  return false;
}

const VirtualKey* Callers::key_of(const net::Headers& headers) const {
  if (options_.keys.empty()) return nullptr;
  for (const std::string_view credential : known_credentials(headers)) {
    const base::Digest digest = base::sha256(credential);
    for (const VirtualKey& key : options_.keys)
      if (key.digest == digest) return &key;
  }
  return nullptr;
}

// Lengths are mixed in, so no part can pretend to be two.
std::string Callers::id(std::string_view prefix, const std::vector<std::string_view>& parts) const {
  std::string text;
  for (const std::string_view part : parts) text += fmt::format("{}:{}", part.size(), part);
  return fmt::format("{}{}", prefix, base::hex(base::hmac_sha256(options_.salt, text)).substr(0, kIdHexDigits));
}

base::Result<Caller> Callers::identify(const net::Headers& headers) const {
  PAYONCE_TRY(const std::vector<std::string> requested, requested_parts(headers));
  const std::string credential = credential_of(headers);
  const VirtualKey* key = key_of(headers);
  if (has_keys() && key == nullptr)
    return base::fail(base::Code::kUnauthorized,
                      credential.empty()
                          ? "no API key; send one of this gateway's keys as 'Authorization: Bearer …' or 'x-api-key'"
                          : "unknown API key; this gateway takes only the keys of its configuration ([keys.NAME])");
  Caller out;
  std::vector<std::string_view> owned, narrowing;
  for (const std::string& part : requested) {
    const bool owns_it = key != nullptr && owns(*key, part);
    if (!owns_it && part == "public") continue;  // it cannot widen, and there is nothing to narrow
    (owns_it ? owned : narrowing).push_back(part);
    out.scope_names.append(out.scope_names.empty() ? "" : ",").append(part);
  }
  const std::string own = credential.empty() ? "anon" : id("u-", {"credential", credential});
  out.credential_id = own;
  out.name = key != nullptr ? key->name : own;
  std::vector<std::string_view> parts;
  if (!owned.empty()) {
    parts.emplace_back("shared");
    parts.insert(parts.end(), owned.begin(), owned.end());
  } else if (narrowing.empty()) {
    out.scope_id = own;
    return out;
  } else {
    parts = {"credential", credential};
  }
  parts.emplace_back("/");
  parts.insert(parts.end(), narrowing.begin(), narrowing.end());
  out.scope_id = id(owned.empty() ? "u-" : "s-", parts);
  return out;
}

}  // namespace payonce::identity
