#include "agent/workspace/dependency.h"

#include <array>
#include <utility>

namespace payonce::agent {
namespace {

constexpr std::array<std::pair<DependencyType, std::string_view>, 5> kNames{{{DependencyType::kFile, "file"},
                                                                             {DependencyType::kDirectory, "dir"},
                                                                             {DependencyType::kGit, "git"},
                                                                             {DependencyType::kValue, "value"},
                                                                             {DependencyType::kTool, "tool"}}};

}  // namespace

std::string_view type_name(DependencyType type) {
  for (const auto& [known, name] : kNames)
    if (known == type) return name;
  return "?";
}

std::optional<DependencyType> type_of(std::string_view name) {
  for (const auto& [type, known] : kNames)
    if (known == name) return type;
  return std::nullopt;
}

}  // namespace payonce::agent
