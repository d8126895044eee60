// A configuration file of any bytes: settings, or an error that says something.
#include <optional>
#include <string>

#include "config/load.h"
#include "fuzz.h"
#include "memory_env.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace payonce;
  if (size < 1) return 0;
  fuzz::MemoryEnv files{std::string(fuzz::text(data + 1, size - 1))};
  const config::Flags flags{.command = static_cast<config::Command>(data[0] % 4),
                            .config_file = "payonce.toml",
                            .values = {},
                            .upstream = "",
                            .upstream_anthropic = "",
                            .upstream_provider = ""};
  const config::GetEnv env = [](std::string_view name) {
    return name == "HOME" ? std::optional<std::string>("/nowhere") : std::nullopt;
  };
  const auto settings = config::load(flags, env, files);
  if (!settings) PAYONCE_FUZZ_CHECK(!settings.error().message.empty());
  return 0;
}
