// Which changed options a running instance does not take.  Threads: pure.
#pragma once

#include <string_view>
#include <vector>

#include "config/settings.h"

namespace payonce::config {

// Keys of the options that differ and that only a start reads, in the order of the table. `layers` is among them when
// a layer is to act that the instance was started without.
std::vector<std::string_view> need_restart(const Settings& running, const Settings& fresh);

}  // namespace payonce::config
