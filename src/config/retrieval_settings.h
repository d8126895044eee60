// [retrieval.NAME].  Threads: any.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/env.h"
#include "config/load.h"
#include "config/reader.h"
#include "config/settings.h"

namespace payonce::config {

std::span<const Key> vector_store_keys();

// The stores in the order of the file. ttl_s is 0 where none is given.
std::vector<VectorStoreSettings> read_vector_stores(const toml::table& root, const std::string& file,
                                                    const GetEnv& env, base::Env& files, Problems& problems);

}  // namespace payonce::config
