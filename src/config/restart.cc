#include "config/restart.h"

#include <algorithm>

#include "config/options.h"

namespace payonce::config {
namespace {

// Options, or tables of them, that Instance::reload() puts in force.
constexpr std::string_view kTaken[] = {"policy.sampled",
                                       "policy.ttl",
                                       "limits.requests_per_minute",
                                       "limits.budget_usd_per_day",
                                       "prefix.mode",
                                       "prefix.move",
                                       "prefix.context",
                                       "prefix.repeats",
                                       "prefix.compaction",
                                       "prefix.hold",
                                       "prefix.keep_alive_budget",
                                       "retry.",
                                       "routing.",
                                       "record."};

bool is_taken(std::string_view key) {
  return std::ranges::any_of(
      kTaken, [&](std::string_view taken) { return taken.ends_with('.') ? key.starts_with(taken) : key == taken; });
}

// The exact layer is always there; the others are made at the start.
bool lacks_layer(const Settings& running, const Settings& fresh) {
  return std::ranges::any_of(fresh.layers, [&](const std::string& layer) {
    return layer != "exact" && std::ranges::find(running.layers, layer) == running.layers.end();
  });
}

}  // namespace

std::vector<std::string_view> need_restart(const Settings& running, const Settings& fresh) {
  std::vector<std::string_view> out;
  for (const Option& option : options()) {
    const bool waits = option.key == "layers"
                           ? lacks_layer(running, fresh)
                           : !is_taken(option.key) && option.field.get(running) != option.field.get(fresh);
    if (waits) out.push_back(option.key);
  }
  return out;
}

}  // namespace payonce::config
