#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "identity/canonical.h"
#include "net/field_list.h"

namespace payonce::identity {
namespace {

// "name=<bytes>:"
void append_line_start(std::string& out, std::string_view name, size_t bytes) {
  char digits[20];
  out.append(name).append("=").append(digits, std::to_chars(digits, digits + sizeof digits, bytes).ptr).append(":");
}

CacheKey key_of(std::string_view kind, const llm::Request& request, const std::string& form, const Profiles& profiles,
                const KeyParts& parts) {
  std::string head;
  head.reserve(512);
  const auto add = [&](std::string_view name, std::string_view value) {
    append_line_start(head, name, value.size());
    head.append(value).append("\n");
  };
  if (kind != "resp") add("kind", kind);
  add("payonce-key", kKeyVersion);
  add("generic-profile", std::to_string(profiles.generic().version));
  add("dialect", llm::dialect_name(request.dialect));
  add("scope", parts.scope_id);
  add("target", parts.target);
  add("upstream", parts.upstream);
  add("versions", parts.versions);
  add("headers", parts.beta);
  append_line_start(head, "body", form.size());
  base::Sha256 hash;
  for (const std::string_view part : {std::string_view(head), std::string_view(form), std::string_view("\n")})
    hash.update(part);
  return {.kind = std::string(kind),
          .version = std::string(kKeyVersion),
          .scope = std::string(parts.scope_id),
          .hash = hash.finish()};
}

}  // namespace

CacheKey response_key(const llm::Request& request, const Profiles& profiles, const Profile& profile,
                      const KeyParts& parts, PartDigests* known) {
  return key_of("resp", request, canonical_form(request, profiles, profile, known, llm::Tape::kNone, parts.scope_id),
                profiles, parts);
}

CacheKey context_key(const llm::Request& request, const Profiles& profiles, const Profile& profile,
                     const KeyParts& parts, uint32_t question, PartDigests* known) {
  return key_of("ctx", request, canonical_form(request, profiles, profile, known, question, parts.scope_id), profiles,
                parts);
}

CacheKey compaction_key(const llm::Request& form, const Profiles& profiles, const Profile& profile,
                        const KeyParts& parts, PartDigests* known) {
  return key_of("compaction", form, canonical_form(form, profiles, profile, known, llm::Tape::kNone, parts.scope_id),
                profiles, parts);
}

base::Result<std::string> versions_of(const net::Headers& headers) {
  std::vector<std::pair<std::string_view, std::string_view>> tags;
  const std::string joined = headers.joined("x-payonce-version");
  base::Status status;
  net::for_each_item(joined, [&](std::string_view tag) {
    const size_t equals = tag.find('=');
    const std::string_view name = net::trim(tag.substr(0, equals));
    const std::string_view version =
        equals == std::string_view::npos ? std::string_view() : net::trim(tag.substr(equals + 1));
    if (!name.empty() && !version.empty())
      tags.emplace_back(name, version);
    else if (status)  // the first is named
      status =
          base::fail(base::Code::kInvalid,
                     fmt::format("X-Payonce-Version: '{}' is not name=version, as in tools=v3", tag.substr(0, 60)));
  });
  PAYONCE_CHECK_OK(std::move(status));
  std::sort(tags.begin(), tags.end());
  std::string out;
  for (size_t i = 0; i < tags.size(); ++i) {
    if (i > 0 && tags[i].first == tags[i - 1].first)
      return base::fail(base::Code::kInvalid, fmt::format("X-Payonce-Version: '{}' is given twice", tags[i].first));
    out += fmt::format("{}{}={}", i == 0 ? "" : ",", tags[i].first, tags[i].second);
  }
  return out;
}

}  // namespace payonce::identity
