// The profile files, compiled in (see CMakeLists.txt).
#pragma once

#include <span>
#include <string_view>
#include <utility>

namespace payonce::identity {

std::span<const std::pair<std::string_view, std::string_view>> embedded_profiles();  // file name, TOML text

}  // namespace payonce::identity
