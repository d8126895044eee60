// From file, environment and flags to Settings.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/env.h"
#include "base/result.h"
#include "config/settings.h"

namespace CLI {
class App;
}

namespace payonce::config {

// Which command takes which options of the table: serve those of the gateway, up all, engine its own, audit those
// that decide what a cache would have done.
enum class Command : uint8_t { kServe, kUp, kEngine, kAudit };

// What the command line said: values by TOML key ("policy.sampled"), the file, and the upstreams without a file.
struct Flags {
  Command command = Command::kServe;
  std::string config_file;
  std::map<std::string, std::string> values;  // by TOML key
  std::string upstream, upstream_anthropic;   // --upstream, --upstream-anthropic
  std::string upstream_provider;              // --upstream-provider
};

// Adds --config, the upstreams of a gateway, and a flag for each option that the command takes to a CLI11 command.
void add_flags(CLI::App& command, Command which, Flags& out);

using GetEnv = std::function<std::optional<std::string>(std::string_view name)>;
// kInvalid: message with file, key, what was found, what is expected, and for an unknown key the nearest known one.
// A message may hold several problems, one a line. Key files and key variables are read here.
base::Result<Settings> load(const Flags& flags, const GetEnv& env, base::Env& files);

// docs/configuration.md: the table of options, then the tables of upstreams, keys and prices.
std::string options_markdown();

}  // namespace payonce::config
