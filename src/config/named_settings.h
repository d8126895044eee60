// [keys.NAME] and [prices."MODEL"].  Threads: any.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "config/reader.h"
#include "config/settings.h"

namespace payonce::config {

std::span<const Key> key_keys();
std::span<const Key> price_keys();

std::vector<KeySettings> read_keys(const toml::table& root, const std::string& file, Problems& problems);
std::map<std::string, llm::Price> read_prices(const toml::table& root, const std::string& file, Problems& problems);

}  // namespace payonce::config
