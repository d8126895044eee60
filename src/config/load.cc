#include "config/load.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/named_settings.h"
#include "config/options.h"
#include "config/reader.h"
#include "config/retrieval_settings.h"
#include "config/upstream_settings.h"

namespace payonce::config {
namespace {

constexpr std::string_view kTables[] = {"upstreams", "keys", "prices"};  // those with names of their own below

bool starts_section(std::string_view key, std::string_view section) {
  return key.size() > section.size() && key.starts_with(section) && key[section.size()] == '.';
}

// The names that may stand in the table `section`; "" is the top.
std::vector<std::string_view> known_in(std::string_view section) {
  std::vector<std::string_view> out;
  if (section.empty()) out.assign(std::begin(kTables), std::end(kTables));
  for (const Option& option : options()) {
    if (!section.empty() && !starts_section(option.key, section)) continue;
    const std::string_view rest = option.key.substr(section.empty() ? 0 : section.size() + 1);
    const std::string_view name = rest.substr(0, rest.find('.'));
    if (std::ranges::find(out, name) == out.end()) out.push_back(name);
  }
  return out;
}

void read_option(const Option& option, const toml::node& node, const std::string& file, Settings& out,
                 Problems& problems) {
  const auto text = text_of(node, option.field.kind);
  const base::Status status =
      text ? option.field.set(out, *text)
           : base::fail(base::Code::kInvalid,
                        fmt::format("expected {}, found {}", kind_name(option.field.kind), type_of(node)));
  if (!status)
    problems.add(fmt::format("invalid '{}' at {}: {}", option.key, place(node, file), status.error().message));
}

// The scalar options of one table, and of the tables in it.
void read_options(const toml::table& table, const std::string& section, const std::string& file, Settings& out,
                  Problems& problems) {
  for (const auto& [name, node] : table) {
    if (section.empty() && std::ranges::find(kTables, name.str()) != std::end(kTables)) continue;
    if (section == "retrieval" && node.is_table()) continue;  // a store
    const std::string key = section.empty() ? std::string(name.str()) : fmt::format("{}.{}", section, name.str());
    if (const Option* option = find_option(key)) {
      read_option(*option, node, file, out, problems);
    } else if (std::ranges::none_of(options(), [&](const Option& one) { return starts_section(one.key, key); })) {
      problems.add(unknown_key(section, name.str(), place(node, file), known_in(section)));
    } else if (node.is_table()) {
      read_options(*node.as_table(), key, file, out, problems);
    } else {
      problems.add(fmt::format("invalid '{}' at {}: expected a table [{}], found {}", key, place(node, file), key,
                               type_of(node)));
    }
  }
}

void read_file(const std::string& path, const GetEnv& env, base::Env& files, bool with_upstreams, Settings& out,
               Problems& problems) {
  const auto content = base::read_file(files, path);
  if (!content) return problems.add(fmt::format("configuration file: {}", content.error().message));
  try {
    const toml::table root = toml::parse(*content);
    read_options(root, "", path, out, problems);
    if (with_upstreams) out.upstreams = read_upstreams(root, path, env, files, problems);
    out.keys = read_keys(root, path, problems);
    out.prices = read_prices(root, path, problems);
    out.retrieval.stores = read_vector_stores(root, path, env, files, problems);
  } catch (const toml::parse_error& error) {
    problems.add(fmt::format("not TOML at {}:{}: {}", path, error.source().begin.line, error.description()));
  }
}

// Variables, then flags: the later one wins.
void apply_texts(const Flags& flags, const GetEnv& env, Settings& out, Problems& problems) {
  for (const Option& option : options()) {
    const auto flag = flags.values.find(std::string(option.key));
    const std::string variable = variable_of(option.key);
    const auto value = flag != flags.values.end() ? std::optional(flag->second) : env(variable);
    // An empty variable is one that is not set: service managers pass those on.
    if (!value || (value->empty() && flag == flags.values.end())) continue;
    if (const auto status = option.field.set(out, *value); !status)
      problems.add(fmt::format("{}: {}",
                               flag != flags.values.end()
                                   ? (flags.command == Command::kEngine ? option.engine_flag : option.flag)
                                   : variable,
                               status.error().message));
  }
}

void set_upstream(const std::string& url, const std::string& anthropic_url, const std::string& provider,
                  Settings& out, Problems& problems) {
  auto upstream = upstream_of_urls(url, anthropic_url, provider);
  if (!upstream) return problems.add(upstream.error().message);
  out.upstreams = {*std::move(upstream)};
}

// The gateway's keys are for the gateway alone: no upstream may see them.
void keep_credentials(Settings& out) {
  const auto keep = [](route::UpstreamPtr& upstream) {
    auto own = std::make_shared<route::Upstream>(*upstream);
    own->forward_credential = false;
    upstream = std::move(own);
  };
  for (route::UpstreamPtr& upstream : out.upstreams) keep(upstream);
  for (VectorStoreSettings& store : out.retrieval.stores) keep(store.upstream);
}

std::string default_data_dir(const GetEnv& env) {
  if (const auto home = env("PAYONCE_HOME"); home && !home->empty()) return *home + "/data";
  if (const auto data = env("XDG_DATA_HOME"); data && !data->empty()) return *data + "/payonce";
  if (const auto home = env("HOME"); home && !home->empty()) return *home + "/.local/share/payonce";
  return {};
}

// Where tools/fetch_model.py puts the default model.
std::string default_model_file(const GetEnv& env) {
  constexpr std::string_view kModel = "/models/SmolLM2-135M-Instruct.Q4_1.gguf";
  const auto value = [&](std::string_view name) { return env(name).value_or(""); };
  std::string cache = value("PAYONCE_HOME");
  if (cache.empty() && !value("XDG_CACHE_HOME").empty()) cache = value("XDG_CACHE_HOME") + "/payonce";
  if (cache.empty() && !value("HOME").empty()) cache = value("HOME") + "/.cache/payonce";
  return cache.empty() ? cache : cache.append(kModel);
}

std::string trimmed(const std::string& text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlank);
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

void read_admin_token(const Flags& flags, const GetEnv& env, base::Env& files, Settings& out, Problems& problems) {
  const auto variable = env("PAYONCE_ADMIN_TOKEN");
  std::string text;
  if (variable && !variable->empty() && !flags.values.contains("admin.token_file")) {
    text = *variable;
  } else if (out.admin_token_file.empty()) {
    return;
  } else if (const auto content = base::read_file(files, out.admin_token_file)) {
    text = *content;
  } else {
    return problems.add(fmt::format("admin.token_file: {}", content.error().message));
  }
  out.admin_token = trimmed(text);
  if (out.admin_token.empty()) problems.add("the admin token is empty; expected at least one character");
}

// Two places for one secret would hide which of them counts.
void read_encryption_keys(const GetEnv& env, Settings& out, Problems& problems) {
  constexpr std::string_view kVariable = "PAYONCE_ENCRYPTION_KEY";
  const auto variable = env(kVariable);
  const bool by_variable = variable && !variable->empty();
  if (!by_variable && out.encryption_key_file.empty()) return;
  if (by_variable && !out.encryption_key_file.empty())
    return problems.add(fmt::format("encryption.key_file and {} are both set; keep one of them", kVariable));
  auto keys = by_variable ? seal::Keys::parse(*variable, kVariable) : seal::Keys::read(out.encryption_key_file);
  if (!keys) return problems.add(by_variable ? keys.error().message : "encryption.key_file: " + keys.error().message);
  out.protection.keys = *std::move(keys);
}

void read_key(base::Env& files, const std::string& path, std::string_view option, std::string& key,
              Problems& problems) {
  if (path.empty()) return;
  const auto content = base::read_file(files, path);
  if (!content) return problems.add(fmt::format("{}: {}", option, content.error().message));
  key = trimmed(*content);
  if (key.empty()) problems.add(fmt::format("{}: the file is empty; expected a key", option));
}

}  // namespace

base::Result<Settings> load(const Flags& flags, const GetEnv& env, base::Env& files) {
  Settings out;
  Problems problems;
  const std::string url = flags.upstream.empty() ? env("PAYONCE_UPSTREAM").value_or("") : flags.upstream;
  const std::string anthropic_url =
      flags.upstream_anthropic.empty() ? env("PAYONCE_UPSTREAM_ANTHROPIC").value_or("") : flags.upstream_anthropic;
  const std::string provider =
      flags.upstream_provider.empty() ? env("PAYONCE_UPSTREAM_PROVIDER").value_or("") : flags.upstream_provider;
  const std::string file = flags.config_file.empty() ? env("PAYONCE_CONFIG").value_or("") : flags.config_file;
  const bool upstream_by_url = !url.empty() || !anthropic_url.empty();

  if (const auto endpoint = env("OTEL_EXPORTER_OTLP_ENDPOINT")) out.traces_endpoint = *endpoint;
  if (!file.empty()) read_file(file, env, files, !upstream_by_url, out, problems);
  apply_texts(flags, env, out, problems);
  if (upstream_by_url) set_upstream(url, anthropic_url, provider, out, problems);
  if (!out.keys.empty()) keep_credentials(out);
  read_admin_token(flags, env, files, out, problems);
  read_encryption_keys(env, out, problems);
  read_key(files, out.embedder.key_file, "semantic.embedder_key_file", out.embedder.key, problems);
  read_key(files, out.semantic.judge_key_file, "semantic.judge_key_file", out.semantic.judge_key, problems);
  if (out.semantic.compare == SemanticCompare::kJudge &&
      (out.semantic.judge_url.empty() || out.semantic.judge_model.empty()))
    problems.add("semantic.compare = \"judge\" needs semantic.judge, a base URL, and semantic.judge_model");
  for (VectorStoreSettings& store : out.retrieval.stores)
    if (store.ttl_s == 0) store.ttl_s = out.retrieval.ttl_s;

  if (out.model_file.empty()) out.model_file = default_model_file(env);
  out.data_dir_given = !out.data_dir.empty();
  if (out.data_dir.empty()) out.data_dir = default_data_dir(env);
  if (out.data_dir.empty())
    problems.add("no data directory: none of --data, PAYONCE_HOME and HOME is set; pass --data DIR");
  if (out.tls_certificate_file.empty() != out.tls_key_file.empty())
    problems.add("TLS needs both tls.certificate_file and tls.key_file; only one is set");
  if (out.retry.base_pause_ms > out.retry.max_pause_ms)
    problems.add("retry.base_pause is longer than retry.max_pause; make it at most as long");
  PAYONCE_CHECK_OK(problems.status());
  return out;
}

}  // namespace payonce::config
