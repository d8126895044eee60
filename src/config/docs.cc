#include <fmt/format.h>

#include "config/load.h"
#include "config/named_settings.h"
#include "config/options.h"
#include "config/retrieval_settings.h"
#include "config/upstream_settings.h"

namespace payonce::config {
namespace {

constexpr std::string_view kIntroduction = R"(# Configuration

`payonce serve --config FILE` reads TOML. A flag beats a variable, a variable beats the file, and the file beats the
default. Unknown keys and wrong values are errors that name the line; `payonce serve --check --config FILE` finds them
and exits. This page is generated from the tables in `src/config/`; to refresh it, run the tests of `config` with
`PAYONCE_UPDATE_DOCS=1`. `packaging/payonce.example.toml` shows a file with several upstreams, keys and prices.

Sizes: `"256MiB"` (KiB, MiB, GiB, TiB) or bytes. Durations: `"100ms"`, `"90s"`, `"15m"`, `"24h"`, `"7d"`, or seconds.
Lists in a flag or a variable are separated by commas.

## Options
`policy.sampled` stands as `sampled` in the table `[policy]`. `payonce serve` takes no flags of the engine;
`payonce engine` takes those, and of the others `--listen`, `--data`, the limits on bodies, connections and draining,
the encryption's and the log's.

| key | flag | variable | value | default | meaning |
|---|---|---|---|---|---|
)";
constexpr std::string_view kSources = R"(
Beside these, by flag or variable alone: `--config` (`PAYONCE_CONFIG`), `--upstream` (`PAYONCE_UPSTREAM`) and
`--upstream-anthropic` (`PAYONCE_UPSTREAM_ANTHROPIC`): one upstream, instead of those of the file.
`PAYONCE_ADMIN_TOKEN` is the admin token itself, `PAYONCE_ENCRYPTION_KEY` the text of `encryption.key_file`.
)";
constexpr std::string_view kUpstreams = R"(
## Upstreams
Each `[upstreams.NAME]` is one; their order in the file is the order of preference. Without a key of its own, an
upstream gets the caller's credential, unless `[keys]` are configured: those are for the gateway alone. A URL without
a path gets `/v1`.
)";
constexpr std::string_view kKeysSection = R"(
## Keys
Each `[keys.NAME]` is a key of this gateway. With none, every credential passes through and is its own scope; with one
or more, only these are let in.
)";
constexpr std::string_view kStores = R"(
## Vector stores
Each `[retrieval.NAME]` is a vector store behind the retrieval cache, at `/retrieval/NAME` of this gateway
([retrieval.md](retrieval.md)). NAME must not be one of the options `retrieval.…` above.
)";
constexpr std::string_view kPrices = R"(
## Prices
Each `[prices."MODEL"]` replaces the built-in list price of a model: USD per million tokens.
)";

std::string cell(std::string_view text) {
  if (text.empty()) return "–";
  std::string out;
  for (const char c : text) out.append(c == '|' ? "\\" : "").push_back(c);
  return out;
}

std::string keys_table(std::span<const Key> keys) {
  std::string out = "\n| key | value | default | meaning |\n|---|---|---|---|\n";
  for (const Key& key : keys)
    out += fmt::format("| `{}` | {} | {} | {} |\n", key.name, key.kind, cell(key.standard), cell(key.help));
  return out;
}

}  // namespace

std::string options_markdown() {
  std::string out(kIntroduction);
  const Settings defaults;
  for (const Option& option : options()) {
    const std::string value = option.field.get(defaults);
    const bool renamed = !option.engine_flag.empty() && option.engine_flag != option.flag;
    const std::string flag = renamed ? fmt::format("`{}`, in `payonce engine`: `{}`", option.flag, option.engine_flag)
                                     : fmt::format("`{}`", option.flag);
    out += fmt::format("| `{}` | {} | `{}` | {} | {} | {} |\n", option.key, flag, variable_of(option.key),
                       kind_name(option.field.kind), value.empty() ? "–" : "`" + value + "`", cell(option.help));
  }
  out.append(kSources);
  out.append(kUpstreams).append(keys_table(upstream_keys()));
  out.append(kKeysSection).append(keys_table(key_keys()));
  out.append(kStores).append(keys_table(vector_store_keys()));
  out.append(kPrices).append(keys_table(price_keys()));
  return out;
}

}  // namespace payonce::config
