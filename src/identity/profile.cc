#include "identity/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

// With exceptions, toml++ throws parse_error; it is caught where it is called.
#include <toml++/toml.h>

#include "identity/embedded_profiles.h"

namespace payonce::identity {
namespace {

bool contains_ignoring_case(std::string_view text, std::string_view part) {
  if (part.size() > text.size()) return false;
  for (size_t at = 0; at + part.size() <= text.size(); ++at)
    if (net::equals_ignoring_case(text.substr(at, part.size()), part)) return true;
  return false;
}

bool matches(const Profile::Match& rule, std::string_view value) {
  return rule.equals.empty() ? contains_ignoring_case(value, rule.contains)
                             : net::equals_ignoring_case(value, rule.equals);
}

base::Result<std::string> string_at(const toml::table& table, std::string_view name) {
  const auto value = table[name].value<std::string>();
  if (!value || value->empty()) return base::fail(base::Code::kInvalid, fmt::format("{}: expected a text", name));
  return *value;
}

// Calls read(table) for each table of the array `name`; none is fine.
template <typename Read>
base::Status each_table(const toml::table& root, std::string_view name, Read&& read) {
  const toml::array* rows = root[name].as_array();
  if (rows == nullptr) return {};
  for (const toml::node& row : *rows) {
    if (!row.is_table()) return base::fail(base::Code::kInvalid, fmt::format("{}: expected tables", name));
    PAYONCE_CHECK_OK(read(*row.as_table()));
  }
  return {};
}

base::Status read_rules(const toml::table& root, Profile& out) {
  PAYONCE_CHECK_OK(each_table(root, "match", [&](const toml::table& row) -> base::Status {
    PAYONCE_TRY(std::string header, string_at(row, "header"));
    Profile::Match match{.header = std::move(header),
                         .contains = row["contains"].value_or(std::string()),
                         .equals = row["equals"].value_or(std::string())};
    if (match.contains.empty() == match.equals.empty())
      return base::fail(base::Code::kInvalid, "match: expected one of contains and equals");
    out.matches.push_back(std::move(match));
    return {};
  }));
  PAYONCE_CHECK_OK(each_table(root, "ignore", [&](const toml::table& row) -> base::Status {
    PAYONCE_TRY(const std::string path, string_at(row, "path"));
    PAYONCE_TRY(Path parsed, parse_path(path));
    out.ignore.push_back(std::move(parsed));
    return {};
  }));
  return each_table(root, "mask", [&](const toml::table& row) -> base::Status {
    PAYONCE_TRY(const std::string path, string_at(row, "path"));
    PAYONCE_TRY(Path parsed, parse_path(path));
    PAYONCE_TRY(std::string after, string_at(row, "after"));
    PAYONCE_TRY(std::string characters, string_at(row, "characters"));
    out.masks.push_back({.path = std::move(parsed),
                         .after = std::move(after),
                         .characters = std::move(characters),
                         .begins = row["begins"].value_or(std::string()),
                         .ahead_of = row["ahead_of"].value_or(std::string()),
                         .ends = row["ends"].value<std::string>(),
                         .anywhere = row["anywhere"].value_or(false)});
    return {};
  });
}

base::Result<Profile> parse_profile(std::string_view text) {
  try {
    const toml::table root = toml::parse(text);
    Profile out;
    PAYONCE_TRY(out.name, string_at(root, "name"));
    out.version = root["version"].value_or(0);
    if (out.version < 1) return base::fail(base::Code::kInvalid, "version: expected a number from 1");
    PAYONCE_CHECK_OK(read_rules(root, out));
    return out;
  } catch (const toml::parse_error& error) {
    return base::fail(base::Code::kInvalid, std::string(error.description()));
  }
}

}  // namespace

base::Result<Path> parse_path(std::string_view text) {
  Path out;
  while (!text.empty()) {
    const size_t end = text.find_first_of(".[");
    if (end != 0) out.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end);
    if (text.starts_with("[]")) {
      out.emplace_back("[]");
      text.remove_prefix(2);
    } else if (text.front() == '[') {
      return base::fail(base::Code::kInvalid, "path: only [] (any element) may stand in brackets");
    }
    if (text.starts_with('.')) text.remove_prefix(1);
  }
  if (out.empty()) return base::fail(base::Code::kInvalid, "path: empty");
  return out;
}

base::Result<Profiles> Profiles::built_in() {
  Profiles out;
  for (const auto& [file, text] : embedded_profiles()) {
    auto parsed = parse_profile(text);
    if (!parsed)
      return base::fail(base::Code::kInternal, fmt::format("profile {}: {}", file, parsed.error().message));
    auto profile = std::make_shared<const Profile>(*std::move(parsed));
    if (profile->name == "generic")
      out.generic_ = std::move(profile);
    else
      out.agents_.push_back(std::move(profile));
  }
  if (!out.generic_) return base::fail(base::Code::kInternal, "no generic profile");
  return out;
}

const Profile& Profiles::match(const net::Headers& headers) const {
  for (const auto& profile : agents_)
    for (const Profile::Match& rule : profile->matches)
      if (const auto value = headers.get(rule.header); value && matches(rule, *value)) return *profile;
  return *generic_;
}

const Profile* Profiles::find(std::string_view name) const {
  if (generic_->name == name) return generic_.get();
  for (const auto& profile : agents_)
    if (profile->name == name) return profile.get();
  return nullptr;
}

std::vector<std::string> Profiles::names() const {
  std::vector<std::string> out{generic_->name};
  for (const auto& profile : agents_) out.push_back(profile->name);
  return out;
}

}  // namespace payonce::identity
