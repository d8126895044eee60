#include "config/upstream_settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "base/ascii.h"
#include "prompt_cache/rules.h"

namespace payonce::config {
namespace {

constexpr Key kUpstreamKeys[] = {
    {"kind", "a word", "\"openai\"", "what it speaks by nature: openai, or anthropic"},
    {"base_url", "a URL", "", "required; with or without /v1. Also spelled url"},
    {"url", "a URL", "", "the same as base_url"},
    {"anthropic_base_url", "a URL", "base_url without /v1", "where its Anthropic paths are"},
    {"key_env", "a text", "",
     "name of the variable that holds its key; the key is sent instead of the caller's credential"},
    {"key_file", "a text", "", "file that holds its key; read when key_env names no variable that is set"},
    {"models", "a list", "any", "names or patterns such as \"gpt-*\" that it serves"},
    {"provider", "a word", "by host and model",
     "whose prompt cache it has, as docs/providers.md names it: anthropic, vllm …"},
    {"prefix", "a word", "as prefix.mode",
     "what the prefix layer may do to its requests: off, observe, safe or aggressive"},
    {"price_factor", "a number", "1",
     "its prices, as a multiple of the model's in the list or in [prices]; for what is spent and for routing"},
    {"kv_events", "a text", "",
     "where a vLLM or SGLang engine publishes what its cache holds (its publisher's endpoint, such as "
     "\"tcp://engine:5557\"); for routing.policy = \"balance\""},
    {"kv_events_replay", "a text", "", "its replay endpoint, where missed batches are asked for"},
    {"connect_timeout", "a duration", "10s", "to connect, with TLS"},
    {"first_byte_timeout", "a duration", "10m", "from the sent request to the answer's first byte"},
    {"idle_timeout", "a duration", "5m", "between two parts of an answer"},
    {"http2", "true or false", "false",
     "on http://: HTTP/2 without TLS, by prior knowledge; on https:// it is negotiated"},
    {"verify_tls", "true or false", "true", "whether its certificate must be valid"},
    {"ca_file", "a text", "the system's", "PEM certificates that are trusted for it"},
};
constexpr std::string_view kVersionPath = "/v1";

}  // namespace

base::Result<std::string> checked_url(std::string_view text) {
  const size_t scheme = text.starts_with("https://") ? 8 : text.starts_with("http://") ? 7 : 0;
  const std::string_view rest = text.substr(scheme);
  const std::string_view authority = rest.substr(0, rest.find('/'));
  const bool printable = std::ranges::all_of(text, base::is_graphic);
  if (authority.find('@') != std::string_view::npos)  // it would show in logs, and be part of cache keys
    return base::fail(base::Code::kInvalid, "a URL must not hold a credential; use key_env or key_file");
  if (scheme == 0 || authority.empty() || !printable || text.find_first_of("?#") != std::string_view::npos)
    return base::fail(base::Code::kInvalid,
                      fmt::format("expected a URL such as \"https://api.openai.com/v1\", found \"{}\"", text));
  while (text.ends_with('/')) text.remove_suffix(1);
  return std::string(text);
}

namespace {

std::string without_version(std::string_view url) {
  if (url.ends_with(kVersionPath)) url.remove_suffix(kVersionPath.size());
  return std::string(url);
}

bool has_path(std::string_view url) { return url.find('/', url.find("://") + 3) != std::string_view::npos; }

// Both base URLs from the one that is given, by kind; both spellings of it are accepted.
void set_urls(route::Upstream& out, const std::string& url) {
  if (out.kind == route::UpstreamKind::kAnthropic) {
    out.anthropic_base_url = without_version(url);
    out.base_url = out.anthropic_base_url + std::string(kVersionPath);
    out.identity = out.anthropic_base_url;
  } else {
    out.base_url = has_path(url) ? url : url + std::string(kVersionPath);
    out.anthropic_base_url = without_version(out.base_url);
    out.identity = out.base_url;
  }
}

// Another server for Messages gives answers of its own, so it is part of the identity.
void set_anthropic_url(route::Upstream& out, const std::string& url) {
  const std::string given = without_version(url);
  if (given == out.anthropic_base_url) return;
  out.anthropic_base_url = given;
  out.identity += " " + given;
}

base::Result<std::string> key_in(std::string_view text, std::string_view from) {
  const std::string_view key = base::trimmed(text);
  if (key.empty()) return base::fail(base::Code::kInvalid, fmt::format("{} is empty", from));
  if (!std::ranges::all_of(key, base::is_graphic))  // it becomes a header
    return base::fail(base::Code::kInvalid, fmt::format("{} must hold one key and nothing else", from));
  return std::string(key);
}

}  // namespace

void read_upstream_key(const TableReader& reader, const std::string& name, const GetEnv& env, base::Env& files,
                       route::Upstream& out, Problems& problems) {
  const auto variable = reader.text("key_env");
  const auto file = reader.text("key_file");
  base::Result<std::string> key;
  if (const auto value = variable ? env(*variable) : std::nullopt) {
    key = key_in(*value, *variable);
  } else if (file) {
    auto content = base::read_file(files, *file);
    key = content ? key_in(*content, *file) : std::move(content);
  } else if (variable) {
    return problems.add(fmt::format("upstream '{}': set {} or `{}.key_file`", name, *variable, reader.path()));
  }
  if (!key)
    return problems.add(fmt::format("upstream '{}': {}; mend it, or set another {}", name, key.error().message,
                                    file ? "`" + reader.path() + ".key_file`" : *variable));
  out.key = *std::move(key);
}

namespace {

void read_url(const TableReader& reader, route::Upstream& out) {
  const std::string_view key = reader.has("base_url") ? "base_url" : "url";
  if (reader.has("base_url") && reader.has("url"))
    reader.wrong("url", "it is another spelling of base_url; keep one of them");
  const auto text = reader.text(key);
  if (!text) {
    if (!reader.has(key)) reader.missing("base_url", "\"https://api.openai.com/v1\"");
    return;
  }
  const auto url = checked_url(*text);
  if (!url) return reader.wrong(key, url.error().message);
  set_urls(out, *url);
  if (const auto other = reader.text("anthropic_base_url")) {
    const auto checked = checked_url(*other);
    if (!checked) return reader.wrong("anthropic_base_url", checked.error().message);
    set_anthropic_url(out, *checked);
  }
}

base::Status check_provider(std::string_view id) {
  const auto& table = prompt_cache::Providers::built_in();
  if (table.find(id) != nullptr) return {};
  std::vector<std::string_view> known;
  for (const prompt_cache::Provider& row : table.all()) known.emplace_back(row.id);
  return base::fail(base::Code::kInvalid,
                    fmt::format("expected a provider, found \"{}\"; known are {}", id, fmt::join(known, ", ")));
}

void read_prefix_mode(const TableReader& reader, route::Upstream& out) {
  const auto name = reader.text("prefix");
  if (!name) return;
  const auto known = std::ranges::find(route::kPrefixModes, *name, [](const auto& mode) { return mode.first; });
  if (known == route::kPrefixModes.end())
    return reader.wrong(
        "prefix", fmt::format("expected \"off\", \"observe\", \"safe\" or \"aggressive\", found \"{}\"", *name));
  out.prefix_mode = known->second;
}

// An address of ZeroMQ, as the engine's --kv-events-config has it; there "*" stands for every address to listen at.
std::string read_endpoint(const TableReader& reader, std::string_view key) {
  const std::string out = reader.text(key).value_or("");
  const bool tcp = out.starts_with("tcp://") && out.find('*') == std::string::npos && out.rfind(':') > 5;
  if (out.empty() || tcp || (out.starts_with("ipc://") && out.size() > 6)) return out;
  reader.wrong(key, fmt::format("expected an endpoint such as \"tcp://engine:5557\", found \"{}\"", out));
  return {};
}

void read_kv_events(const TableReader& reader, route::Upstream& out) {
  out.kv_events = read_endpoint(reader, "kv_events");
  out.kv_events_replay = read_endpoint(reader, "kv_events_replay");
  if (!out.kv_events_replay.empty() && !reader.has("kv_events"))
    reader.wrong("kv_events_replay", "it asks for what kv_events missed; set that, too");
}

}  // namespace

void read_connection(const TableReader& reader, base::Env& files, route::Upstream& out) {
  out.connect_timeout_ms = reader.duration_ms("connect_timeout").value_or(out.connect_timeout_ms);
  out.first_byte_timeout_ms = reader.duration_ms("first_byte_timeout").value_or(out.first_byte_timeout_ms);
  out.idle_timeout_ms = reader.duration_ms("idle_timeout").value_or(out.idle_timeout_ms);
  out.http2 = reader.boolean("http2").value_or(out.http2);
  out.verify_tls = reader.boolean("verify_tls").value_or(out.verify_tls);
  out.ca_file = reader.text("ca_file").value_or("");
  if (out.ca_file.empty()) return;
  if (const auto content = base::read_file(files, out.ca_file); !content)
    reader.wrong("ca_file", content.error().message);
}

std::span<const Key> upstream_keys() { return kUpstreamKeys; }

std::vector<route::UpstreamPtr> read_upstreams(const toml::table& root, const std::string& file, const GetEnv& env,
                                               base::Env& files, Problems& problems) {
  std::vector<route::UpstreamPtr> out;
  for (const NamedTable& named : named_tables(root, "upstreams", file, problems)) {
    const TableReader reader(*named.table, "upstreams." + named.name, file, kUpstreamKeys, problems);
    auto upstream = std::make_shared<route::Upstream>();
    upstream->name = named.name;
    const std::string kind = reader.text("kind").value_or("openai");
    if (kind == "anthropic") upstream->kind = route::UpstreamKind::kAnthropic;
    if (kind != "anthropic" && kind != "openai")
      reader.wrong("kind", fmt::format("expected \"openai\" or \"anthropic\", found \"{}\"", kind));
    read_url(reader, *upstream);
    read_upstream_key(reader, named.name, env, files, *upstream, problems);
    upstream->models = reader.texts("models").value_or(std::vector<std::string>());
    read_prefix_mode(reader, *upstream);
    if (const auto provider = reader.text("provider")) {
      if (const auto known = check_provider(*provider); !known) reader.wrong("provider", known.error().message);
      upstream->provider = *provider;
    }
    upstream->price_factor = reader.number("price_factor").value_or(1);
    read_kv_events(reader, *upstream);
    read_connection(reader, files, *upstream);
    out.push_back(std::move(upstream));
  }
  return out;
}

base::Result<route::UpstreamPtr> upstream_of_urls(const std::string& url, const std::string& anthropic_url,
                                                  const std::string& provider) {
  auto out = std::make_shared<route::Upstream>();
  out->name = "upstream";
  const auto named = [](std::string_view flag, base::Error error) {
    return base::fail(error.code, fmt::format("{}: {}", flag, error.message));
  };
  if (url.empty()) out->kind = route::UpstreamKind::kAnthropic;
  if (!url.empty()) {
    const auto checked = checked_url(url);
    if (!checked) return named("--upstream", checked.error());
    set_urls(*out, *checked);
  }
  if (!anthropic_url.empty()) {
    const auto checked = checked_url(anthropic_url);
    if (!checked) return named("--upstream-anthropic", checked.error());
    url.empty() ? set_urls(*out, *checked) : set_anthropic_url(*out, *checked);
  }
  if (!provider.empty()) {
    if (auto known = check_provider(provider); !known) return named("--upstream-provider", known.error());
    out->provider = provider;
  }
  return out;
}

}  // namespace payonce::config
