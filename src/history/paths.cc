#include "history/paths.h"

#include <glob.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>

namespace payonce::history {
namespace {

namespace fs = std::filesystem;

void search_folder(FoundFiles& out, const std::string& folder, size_t limit,
                   const std::function<bool(std::string_view)>& wanted) {
  std::vector<std::string> names;
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(folder, fs::directory_options::skip_permission_denied, error);
       !error && it != fs::recursive_directory_iterator() && out.names.size() + names.size() < limit;
       it.increment(error)) {
    std::string name = it->path().string();
    if (wanted(name) && it->is_regular_file(error)) names.push_back(std::move(name));
  }
  if (error) out.failed.emplace_back(folder, error.message());
  if (names.empty() && !error) out.failed.emplace_back(folder, "no .jsonl, .ndjson, .json, .log or .csv in it");
  std::sort(names.begin(), names.end());
  out.names.insert(out.names.end(), names.begin(), names.end());
}

void search_glob(FoundFiles& out, const std::string& pattern, size_t limit) {
  glob_t found{};
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0)
    for (size_t i = 0; i < found.gl_pathc && out.names.size() < limit; ++i) {
      std::error_code error;
      if (!fs::is_directory(found.gl_pathv[i], error)) out.names.emplace_back(found.gl_pathv[i]);
    }
  else
    out.failed.emplace_back(pattern, "no such file");
  ::globfree(&found);
}

}  // namespace

bool has_log_ending(std::string_view name) {
  for (const std::string_view packed : {".gz", ".zst", ".xz"})
    if (name.ends_with(packed)) {
      name.remove_suffix(packed.size());
      break;
    }
  constexpr std::array<std::string_view, 5> kEndings = {".jsonl", ".ndjson", ".json", ".log", ".csv"};
  return std::any_of(kEndings.begin(), kEndings.end(), [&](std::string_view end) { return name.ends_with(end); });
}

FoundFiles find_files(const std::vector<std::string>& paths, size_t limit,
                      const std::function<bool(std::string_view)>& wanted) {
  FoundFiles out;
  for (const std::string& path : paths) {
    std::error_code error;
    if (path != "-" && fs::is_directory(path, error))
      search_folder(out, path, limit, wanted);
    else if (path == "-" || fs::exists(path, error))
      out.names.push_back(path);
    else
      search_glob(out, path, limit);
  }
  if (out.names.size() > limit) out.names.resize(limit);
  if (out.names.size() == limit) out.failed.emplace_back(paths.back(), "more files than the limit");
  return out;
}

}  // namespace payonce::history
