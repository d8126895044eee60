#include "agent/workspace/tree_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <system_error>
#include <vector>

#include "agent/workspace/libgit2.h"

namespace payonce::agent {
namespace {

namespace fs = std::filesystem;

template <typename T>
using Git = std::unique_ptr<T, void (*)(T*)>;

base::Error unreadable(const std::string& path, std::string_view why) {
  return {base::Code::kUnavailable, fmt::format("{} cannot be read: {}", path, why)};
}

base::Error git_failed(const std::string& path) {
  const git_error* error = libgit2().error_last();
  return unreadable(path,
                    error != nullptr && error->message != nullptr ? error->message : "libgit2 does not say why");
}

char kind_of(const fs::directory_entry& entry) {
  std::error_code ignored;
  const fs::file_status status = entry.symlink_status(ignored);
  return status.type() == fs::file_type::directory ? 'd' : status.type() == fs::file_type::symlink ? 'l' : 'f';
}

void add(base::Sha256& hash, std::string_view text) {
  hash.update(fmt::format("{}:", text.size()));
  hash.update(text);
}

std::string head_of(git_repository* repository) {
  const Libgit2& git = libgit2();
  git_oid head{};
  if (git.reference_name_to_id(&head, repository, "HEAD") != 0) return "unborn";
  char text[GIT_OID_HEXSZ + 1];
  return git.oid_tostr(text, sizeof text, &head);
}

// Of one file that differs from HEAD; a link is what it points at, a submodule its commit.
base::Result<std::string> changed_state(git_repository* repository, const std::string& path, FileStates& files) {
  const Libgit2& git = libgit2();
  std::error_code ignored;
  const fs::path full = fs::path(git.repository_workdir(repository)) / path;
  const fs::file_status status = fs::symlink_status(full, ignored);
  if (status.type() == fs::file_type::symlink) return "link:" + fs::read_symlink(full, ignored).string();
  if (status.type() == fs::file_type::directory) {
    git_repository* inner = nullptr;
    if (git.repository_open(&inner, full.c_str()) != 0) return std::string("directory");
    const Git<git_repository> owner(inner, git.repository_free);
    return git_state(full.string(), files);
  }
  return files.state(full.string());
}

}  // namespace

base::Result<std::string> names_state(const std::string& path) {
  std::error_code error;
  const bool exists = fs::exists(path, error);
  if (error) return base::fail(unreadable(path, error.message()));
  if (!exists) return std::string("absent");
  std::vector<std::string> names;
  fs::recursive_directory_iterator walk(path, error);
  if (error) return base::fail(unreadable(path, error.message()));
  const size_t skip = path.size() + (path.ends_with('/') ? 0 : 1);
  for (const fs::recursive_directory_iterator end; walk != end; walk.increment(error)) {
    if (error) break;
    if (walk->path().filename() == ".git") {
      walk.disable_recursion_pending();
      continue;
    }
    if (names.size() == kMaxNames)
      return base::fail(base::Code::kTooLarge, fmt::format("more than {} names below {}", kMaxNames, path));
    names.push_back(kind_of(*walk) + walk->path().string().substr(skip));
  }
  if (error) return base::fail(unreadable(path, error.message()));
  std::sort(names.begin(), names.end());
  base::Sha256 hash;
  for (const std::string& name : names) add(hash, name);
  return "dir:" + base::hex(hash.finish());
}

base::Result<std::string> git_state(const std::string& path, FileStates& files) {
  const Libgit2& git = libgit2();
  PAYONCE_CHECK_OK(git.library.fault());
  git_repository* raw = nullptr;
  const int opened = git.repository_open_ext(&raw, path.c_str(), 0, nullptr);
  if (opened == GIT_ENOTFOUND) return std::string("absent");
  if (opened != 0) return base::fail(git_failed(path));
  const Git<git_repository> repository(raw, git.repository_free);
  if (git.repository_is_bare(raw) != 0) return "git:" + head_of(raw);
  git_status_options options;
  git.status_options_init(&options, GIT_STATUS_OPTIONS_VERSION);
  options.flags = GIT_STATUS_OPT_INCLUDE_UNTRACKED | GIT_STATUS_OPT_RECURSE_UNTRACKED_DIRS;
  git_status_list* raw_list = nullptr;
  if (git.status_list_new(&raw_list, raw, &options) != 0) return base::fail(git_failed(path));
  const Git<git_status_list> list(raw_list, git.status_list_free);
  const size_t count = git.status_list_entrycount(raw_list);
  if (count > kMaxNames)
    return base::fail(base::Code::kTooLarge, fmt::format("more than {} changed files in {}", kMaxNames, path));
  base::Sha256 hash;
  for (size_t i = 0; i < count; ++i) {
    const git_status_entry* entry = git.status_byindex(raw_list, i);
    const git_diff_delta* delta = entry->index_to_workdir != nullptr ? entry->index_to_workdir : entry->head_to_index;
    const std::string name = delta->new_file.path;
    PAYONCE_TRY(const std::string state, changed_state(raw, name, files));
    add(hash, name);
    add(hash, state);
  }
  return fmt::format("git:{}:{}", head_of(raw), base::hex(hash.finish()));
}

std::function<bool(const std::string&)> git_ignores(const std::string& path) {
  const Libgit2& git = libgit2();
  const auto nothing = [](const std::string&) { return false; };
  if (!git.library.fault()) return nothing;
  git_repository* raw = nullptr;
  if (git.repository_open_ext(&raw, path.c_str(), 0, nullptr) != 0 || git.repository_is_bare(raw) != 0) {
    git.repository_free(raw);
    return nothing;
  }
  const std::shared_ptr<git_repository> repository(raw, git.repository_free);
  const std::string root = git.repository_workdir(raw);
  return [&git, repository, root](const std::string& directory) {
    int ignored = 0;
    return directory.starts_with(root) &&
           git.ignore_path_is_ignored(&ignored, repository.get(), (directory.substr(root.size()) + "/").c_str()) ==
               0 &&
           ignored != 0;
  };
}

}  // namespace payonce::agent
