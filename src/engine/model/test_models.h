// Where the tests' models lie. For tests only.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace payonce::engine {

// As tools/fetch_model.py stores it: $PAYONCE_HOME/models, by default ~/.cache/payonce/models.
inline std::string cached_model(const char* variable, const char* file) {
  const auto value = [](const char* name) {
    const char* found = std::getenv(name);
    return std::string(found ? found : "");
  };
  if (!value(variable).empty()) return value(variable);
  std::string home = value("PAYONCE_HOME");
  if (home.empty() && !value("XDG_CACHE_HOME").empty()) home = value("XDG_CACHE_HOME") + "/payonce";
  if (home.empty()) home = value("HOME") + "/.cache/payonce";
  const std::string path = home + "/models/" + file;
  return std::filesystem::exists(path) ? path : "";
}

inline std::string smol_model() { return cached_model("PAYONCE_MODEL", "SmolLM2-135M-Instruct.Q4_1.gguf"); }
inline std::string gemma_model() { return cached_model("PAYONCE_GEMMA", "gemma-3-270m-q4_k_m.gguf"); }

}  // namespace payonce::engine

#define PAYONCE_NEEDS_MODEL(path, command)                                   \
  do {                                                                       \
    if ((path).empty()) GTEST_SKIP() << "no model file; run: " << (command); \
  } while (false)
