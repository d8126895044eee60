#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <memory>
#include <string>

#include "base/hash.h"
#include "payonce/commands.h"

namespace payonce {

void add_key(CLI::App& app, int& status) {
  CLI::App* command =
      app.add_subcommand("key", "Makes a virtual key: the secret for its user, the hash for the configuration");
  command->footer("Examples:\n  payonce key alice\n  payonce key search-team --json");
  struct Options {
    std::string name;
    bool as_json = false;
  };
  const auto options = std::make_shared<Options>();
  command->add_option("name", options->name, "Name of the key in the configuration, logs and the ledger")->required();
  command->add_flag("--json", options->as_json, "Print JSON");
  command->callback([options, &status] {
    const std::string key = "pk-" + base::random_hex(24);
    const std::string digest = base::hex(base::sha256(key));
    const std::string text =
        options->as_json
            ? boost::json::serialize(boost::json::object{{"name", options->name}, {"key", key}, {"sha256", digest}}) +
                  "\n"
            : fmt::format(
                  "Key (shown once; give it to its user):\n  {}\n\nFor the configuration file:\n  [keys.{}]\n  "
                  "sha256 = \"{}\"\n"
                  "  scopes = []   # parts that it may share: \"team:NAME\", \"user:*\", \"public\"\n",
                  key, options->name, digest);
    (void)std::fputs(text.c_str(), stdout);
    status = 0;
  });
}

}  // namespace payonce
