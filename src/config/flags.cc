#include <CLI/CLI.hpp>

#include "config/load.h"
#include "config/options.h"

namespace payonce::config {
namespace {

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

}  // namespace

void add_flags(CLI::App& command, Flags& out) {
  command.add_option("--config", out.config_file, "configuration file (TOML); or $PAYONCE_CONFIG")->type_name("FILE");
  command
      .add_option("--upstream", out.upstream,
                  "OpenAI base URL of the one upstream, instead of the file's; or $PAYONCE_UPSTREAM")
      ->type_name("URL");
  command
      .add_option("--upstream-anthropic", out.upstream_anthropic,
                  "Anthropic base URL of it; default: the same host; or $PAYONCE_UPSTREAM_ANTHROPIC")
      ->type_name("URL");
  const Settings defaults;
  for (const Option& option : options()) {
    // The text is checked by load(), with that of the other sources, so CLI11 only collects it.
    // A switch alone comes as an empty text.
    const bool is_switch = option.field.kind == Kind::kBool;
    const auto collect = [&out, is_switch, key = std::string(option.key)](const std::string& value) {
      out.values[key] = is_switch && value.empty() ? "true" : value;
    };
    CLI::Option* flag =
        command.add_option_function<std::string>(std::string(option.flag), collect, std::string(option.help));
    flag->type_name(value_name(option.field.kind));
    flag->group("Settings");
    if (is_switch)
      flag->expected(0, 1);  // without a default text, which CLI11 would hand on instead of the empty one
    else if (const std::string value = option.field.get(defaults); !value.empty())
      flag->default_str(value);
  }
}

}  // namespace payonce::config
