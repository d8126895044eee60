#include "embed/find_embedder.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <vector>

namespace payonce::embed {

std::string find_embedder(const GetEnv& env, const std::string& program) {
  if (std::string named = env("PAYONCE_EMBEDDER"); !named.empty()) return named;
  std::vector<std::filesystem::path> places;
  if (const std::string home = env("PAYONCE_HOME"); !home.empty()) {
    places.emplace_back(std::filesystem::path(home) / "models");
  } else if (const std::string cache = env("XDG_CACHE_HOME"); !cache.empty()) {
    places.emplace_back(std::filesystem::path(cache) / "payonce" / "models");
  } else if (const std::string user = env("HOME"); !user.empty()) {
    places.emplace_back(std::filesystem::path(user) / ".cache" / "payonce" / "models");
  }
  if (!program.empty())
    places.emplace_back(std::filesystem::path(program).parent_path().parent_path() / "share" / "payonce");
  for (const std::filesystem::path& place : places) {
    std::error_code ignored;
    const std::filesystem::path file = place / kDefaultEmbedder;
    if (std::filesystem::is_regular_file(file, ignored)) return file.lexically_normal().string();
  }
  return "";
}

std::string find_embedder() {
  const GetEnv env = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value ? value : "");
  };
  std::error_code unknown;  // then only the places that do not need it
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", unknown);
  return find_embedder(env, program.string());
}

}  // namespace payonce::embed
