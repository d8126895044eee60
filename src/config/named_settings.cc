#include "config/named_settings.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.h"

namespace payonce::config {
namespace {

constexpr Key kKeyKeys[] = {
    {"sha256", "a text", "", "required; SHA-256 of the key, 64 hex digits. `payonce key` makes a key and this line"},
    {"scopes", "a list", "none",
     "whose answers it may share: team:NAME, user:ID, session:ID, public; team:* is any team"},
    {"requests_per_minute", "a number", "as [limits]", "its own limit"},
    {"budget_usd_per_day", "a number", "as [limits]", "its own budget"},
};
constexpr Key kPriceKeys[] = {
    {"input", "a number", "", "required; tokens that no prompt cache held"},
    {"output", "a number", "", "required; tokens of the answer"},
    {"cache_read", "a number", "input", "tokens read from the provider's prompt cache"},
    {"cache_write", "a number", "input", "tokens written to it for some minutes"},
    {"cache_write_1h", "a number", "input", "tokens written to it for an hour"},
};
constexpr size_t kSha256HexDigits = 64;
constexpr size_t kMaxPartBytes = 200;  // as a request's X-Payonce-Scope

bool is_scope(std::string_view part) {
  if (part == "public") return true;
  for (const std::string_view kind : {"team:", "user:", "session:"}) {
    if (!part.starts_with(kind) || part.size() == kind.size() || part.size() > kMaxPartBytes) continue;
    // A star stands for any ID when it follows a colon; elsewhere it would be a plain letter, which no one means.
    const std::string_view id = part.ends_with(":*") ? part.substr(0, part.size() - 1) : part;
    return std::ranges::all_of(id, [](char c) { return base::is_graphic(c) && c != ',' && c != '*'; });
  }
  return false;
}

void read_scopes(const TableReader& reader, KeySettings& out) {
  out.scopes = reader.texts("scopes").value_or(std::vector<std::string>());
  for (const std::string& scope : out.scopes)
    if (!is_scope(scope))
      reader.wrong(
          "scopes",
          fmt::format("expected team:NAME, user:ID, session:ID (or :* for any) or public, found \"{}\"", scope));
}

void read_sha256(const TableReader& reader, KeySettings& out) {
  const auto text = reader.text("sha256");
  if (!text) {
    if (!reader.has("sha256")) reader.missing("sha256", "\"9f86…\" as `payonce key` prints it");
    return;
  }
  out.sha256 = base::lowered(*text);
  // The text is not repeated: it may be the key itself, put here by mistake.
  if (out.sha256.size() != kSha256HexDigits || out.sha256.find_first_not_of("0123456789abcdef") != std::string::npos)
    reader.wrong("sha256", fmt::format("expected 64 hex digits as `payonce key` prints them, found {} characters",
                                       text->size()));
}

}  // namespace

std::span<const Key> key_keys() { return kKeyKeys; }
std::span<const Key> price_keys() { return kPriceKeys; }

std::vector<KeySettings> read_keys(const toml::table& root, const std::string& file, Problems& problems) {
  std::vector<KeySettings> out;
  for (const NamedTable& named : named_tables(root, "keys", file, problems)) {
    const TableReader reader(*named.table, "keys." + named.name, file, kKeyKeys, problems);
    KeySettings key;
    key.name = named.name;
    read_sha256(reader, key);
    read_scopes(reader, key);
    key.limit.requests_per_minute = reader.number("requests_per_minute").value_or(0);
    key.limit.budget_usd_per_day = reader.number("budget_usd_per_day").value_or(0);
    const auto same = std::ranges::find(out, key.sha256, &KeySettings::sha256);
    if (same != out.end() && !key.sha256.empty())
      reader.wrong("sha256", fmt::format("key '{}' has the same one; each key is its own", same->name));
    out.push_back(std::move(key));
  }
  return out;
}

std::map<std::string, llm::Price> read_prices(const toml::table& root, const std::string& file, Problems& problems) {
  std::map<std::string, llm::Price> out;
  for (const NamedTable& named : named_tables(root, "prices", file, problems)) {
    const TableReader reader(*named.table, fmt::format("prices.\"{}\"", named.name), file, kPriceKeys, problems);
    for (const std::string_view key : {"input", "output"})
      if (!reader.has(key)) reader.missing(key, "1.25");
    llm::Price price;
    price.input = reader.number("input").value_or(0);
    price.output = reader.number("output").value_or(0);
    price.cache_read = reader.number("cache_read").value_or(price.input);
    price.cache_write_short = reader.number("cache_write").value_or(price.input);
    price.cache_write_long = reader.number("cache_write_1h").value_or(price.input);
    out.emplace(named.name, price);
  }
  return out;
}

}  // namespace payonce::config
