#include "agent/workspace/observer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "agent/workspace/tree_state.h"

namespace payonce::agent {

base::Result<std::string> Observer::state(const Dependency& dependency) {
  switch (dependency.type) {
    case DependencyType::kFile: return files_.state(dependency.name);
    case DependencyType::kDirectory:
    case DependencyType::kGit: return tree_state(dependency);
    case DependencyType::kValue:
    case DependencyType::kTool: return dependency.value;
  }
  return base::fail(base::Code::kInternal, "no such dependency");
}

// The mark is taken before the walk: what changes during it makes the next mark another one.
base::Result<std::string> Observer::tree_state(const Dependency& dependency) {
  const base::Hash128 key = hash_.parts(std::array<std::string_view, 2>{type_name(dependency.type), dependency.name});
  const bool git = dependency.type == DependencyType::kGit;
  const auto mark = git ? repositories_.mark(dependency.name, [&] { return git_ignores(dependency.name); })
                        : names_.mark(dependency.name);
  const int64_t now_ms = clock_.monotonic_us() / 1000;
  if (mark) {
    const std::lock_guard lock(mutex_);
    const Tree* tree = trees_.find(key);
    if (tree != nullptr && tree->mark == *mark && now_ms - tree->seen_ms < TreeWatch::kTrusted_ms) return tree->state;
  }
  PAYONCE_TRY(std::string state, git ? git_state(dependency.name, files_) : names_state(dependency.name));
  if (mark) {
    const std::lock_guard lock(mutex_);
    trees_.insert(key, {.mark = *mark, .seen_ms = now_ms, .state = state});
  }
  return state;
}

std::vector<Dependency> Observer::changed(std::span<const Observed> seen, std::span<const Dependency> given) {
  std::vector<Dependency> out;
  for (const Observed& observed : seen) {
    Dependency now = observed.dependency;
    if (!is_on_disk(now.type)) {
      const auto named =
          std::find_if(given.begin(), given.end(), [&](const Dependency& d) { return d.same_thing(now); });
      if (named == given.end() && now.type == DependencyType::kValue) continue;
      if (named != given.end()) now.value = named->value;  // a tool that is not listed any more has changed
    }
    const auto state = this->state(now);
    if (!state || *state != observed.state) out.push_back(std::move(now));
  }
  return out;
}

}  // namespace payonce::agent
