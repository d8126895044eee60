// The one table of scalar options. The file, the variables, the flags, --help and docs/configuration.md all come from
// it, so an option is one row here and one field of Settings.  Threads: read-only.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "config/settings.h"

namespace payonce::config {

// What a value looks like; in the file, a TOML value of another type is an error.
enum class Kind : uint8_t { kText, kWhole, kNumber, kBool, kSize, kDuration, kChoice, kList };
std::string_view kind_name(Kind kind);  // "a whole number", as in messages and in the documentation

// How to reach one field of Settings. Both go through text, whichever source it comes from.
struct Field {
  Kind kind;
  // Error without key and place, which the caller knows: "expected …, found …".
  base::Status (*set)(Settings& settings, std::string_view text);
  std::string (*get)(const Settings& settings);  // set() takes it back
};

struct Option {
  std::string_view key;   // in the file: "policy.sampled"
  std::string_view flag;  // "--sampled"
  Field field;
  std::string_view help;
  std::string_view engine_flag = {};  // as `payonce engine` calls it; empty: it does not take it
  bool of_engine() const { return key == "model" || key.starts_with("engine."); }  // no flag of `payonce serve`
};
std::span<const Option> options();
const Option* find_option(std::string_view key);  // null when there is none

std::string variable_of(std::string_view key);  // "policy.sampled" → "PAYONCE_POLICY_SAMPLED"

}  // namespace payonce::config
