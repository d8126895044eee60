// Where the embedder's file lies when no one says so.
// Threads: pure function of the environment and the file system.
#pragma once

#include <functional>
#include <string>

namespace payonce::embed {

using GetEnv = std::function<std::string(const char* name)>;  // empty: not set

inline constexpr const char* kDefaultEmbedder = "all-MiniLM-L6-v2.gguf";

// PAYONCE_EMBEDDER, whatever lies there; else kDefaultEmbedder in the cache directory's models (where
// tools/make_embedder.py puts it: $PAYONCE_HOME, $XDG_CACHE_HOME/payonce or ~/.cache/payonce), else in
// ../share/payonce beside the program's directory (where packages put it). Empty: none found.
std::string find_embedder(const GetEnv& env, const std::string& program);
std::string find_embedder();  // of this process

}  // namespace payonce::embed
