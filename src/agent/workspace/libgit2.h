// What we use of libgit2, which is loaded for the first repository.
#pragma once

#include <git2.h>

#include "base/shared_library.h"

namespace payonce::agent {

struct Libgit2 {
  base::SharedLibrary library{PAYONCE_GIT2_LIBRARY};
  decltype(&git_libgit2_init) init = library.find("git_libgit2_init");
  decltype(&git_libgit2_opts) opts = library.find("git_libgit2_opts");
  decltype(&git_error_last) error_last = library.find("git_error_last");
  decltype(&git_repository_open) repository_open = library.find("git_repository_open");
  decltype(&git_repository_open_ext) repository_open_ext = library.find("git_repository_open_ext");
  decltype(&git_repository_free) repository_free = library.find("git_repository_free");
  decltype(&git_repository_is_bare) repository_is_bare = library.find("git_repository_is_bare");
  decltype(&git_repository_workdir) repository_workdir = library.find("git_repository_workdir");
  decltype(&git_reference_name_to_id) reference_name_to_id = library.find("git_reference_name_to_id");
  decltype(&git_oid_tostr) oid_tostr = library.find("git_oid_tostr");
  decltype(&git_status_options_init) status_options_init = library.find("git_status_options_init");
  decltype(&git_status_list_new) status_list_new = library.find("git_status_list_new");
  decltype(&git_status_list_entrycount) status_list_entrycount = library.find("git_status_list_entrycount");
  decltype(&git_status_list_free) status_list_free = library.find("git_status_list_free");
  decltype(&git_status_byindex) status_byindex = library.find("git_status_byindex");
  decltype(&git_ignore_path_is_ignored) ignore_path_is_ignored = library.find("git_ignore_path_is_ignored");

  Libgit2();
};

// Loaded and set up by the first call. Its functions are there if `library` has no fault.
const Libgit2& libgit2();

}  // namespace payonce::agent
