#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>

#include "config/load.h"
#include "config/options.h"

namespace payonce::config {
namespace {

constexpr std::array<std::string_view, 12> kOfAudit = {"layers",
                                                       "error_bound",
                                                       "max_memory",
                                                       "max_disk",
                                                       "semantic.embedder",
                                                       "semantic.embedder_model",
                                                       "semantic.embedder_key_file",
                                                       "semantic.embedder_dimensions",
                                                       "prefix.mode",
                                                       "prefix.move",
                                                       "policy.sampled",
                                                       "policy.ttl"};

bool takes(Command which, const Option& option) {
  switch (which) {
    case Command::kServe: return !option.of_engine();
    case Command::kUp: return true;
    case Command::kEngine: return !option.engine_flag.empty();
    case Command::kAudit: return std::ranges::find(kOfAudit, option.key) != kOfAudit.end();
  }
  return false;
}

std::string value_name(Kind kind) {
  switch (kind) {
    case Kind::kText:
    case Kind::kChoice: return "TEXT";
    case Kind::kWhole:
    case Kind::kNumber: return "N";
    case Kind::kBool: return "true|false";
    case Kind::kSize: return "SIZE";
    case Kind::kDuration: return "DURATION";
    case Kind::kList: return "LIST";
  }
  return {};
}

// The text is checked by load(), with that of the other sources, so CLI11 only collects it.
void add_flag(CLI::App& command, const Option& option, std::string_view name, const Settings& defaults, Flags& out) {
  const bool is_switch = option.field.kind == Kind::kBool;
  // A switch alone comes as an empty text.
  const auto collect = [&out, is_switch, key = std::string(option.key)](const std::string& value) {
    out.values[key] = is_switch && value.empty() ? "true" : value;
  };
  CLI::Option* flag = command.add_option_function<std::string>(std::string(name), collect, std::string(option.help));
  flag->type_name(value_name(option.field.kind));
  flag->group(option.of_engine() ? "Engine" : "Settings");
  // A list may be given at once, or one by one.
  if (option.field.kind == Kind::kList) flag->multi_option_policy(CLI::MultiOptionPolicy::Join)->delimiter(',');
  if (is_switch)
    flag->expected(0, 1);  // without a default text, which CLI11 would hand on instead of the empty one
  else if (const std::string value = option.field.get(defaults); !value.empty())
    flag->default_str(value);
}

void add_upstreams(CLI::App& command, Flags& out) {
  command
      .add_option("--upstream", out.upstream,
                  "OpenAI base URL of the one upstream, instead of the file's; or $PAYONCE_UPSTREAM")
      ->type_name("URL");
  command
      .add_option("--upstream-anthropic", out.upstream_anthropic,
                  "Anthropic base URL of it; default: the same host; or $PAYONCE_UPSTREAM_ANTHROPIC")
      ->type_name("URL");
  command
      .add_option(
          "--upstream-provider", out.upstream_provider,
          "whose prompt cache it has, as docs/providers.md names it (anthropic, vllm, llamacpp …); default: by "
          "host and model; or $PAYONCE_UPSTREAM_PROVIDER")
      ->type_name("ID");
}

}  // namespace

void add_flags(CLI::App& command, Command which, Flags& out) {
  out.command = which;
  command.add_option("--config", out.config_file, "configuration file (TOML); or $PAYONCE_CONFIG")->type_name("FILE");
  if (which == Command::kServe || which == Command::kUp) add_upstreams(command, out);
  const Settings defaults;
  for (const Option& option : options()) {
    const std::string_view name = which == Command::kEngine ? option.engine_flag : option.flag;
    if (!name.empty() && takes(which, option)) add_flag(command, option, name, defaults, out);
  }
}

}  // namespace payonce::config
