#include "agent/workspace/libgit2.h"

#include "base/log.h"

namespace payonce::agent {

Libgit2::Libgit2() {
  if (const base::Status usable = library.fault(); !usable) {
    base::log_error("agent caches: what depends on a git repository is not kept: {}", usable.error().message);
    return;
  }
  init();
  // A status runs no program that a repository names, so it does not matter whose repository it is.
  opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
}

const Libgit2& libgit2() {
  static const Libgit2 loaded;
  return loaded;
}

}  // namespace payonce::agent
