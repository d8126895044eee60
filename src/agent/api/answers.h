// The answers of the agent API, as JSON text.  Threads: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "agent/agent_cache.h"
#include "base/result.h"

namespace payonce::agent {

std::string hit_json(const Hit& hit, const Question& question, int64_t now_ms);
std::string miss_json(const Miss& miss, const Question& question);
std::string explained_json(const AgentCache::Explained& explained, int64_t now_ms);
std::string committed_json(const Committed& committed);
std::string error_json(const base::Error& error);
std::string kind_stats_json(const AgentCache& cache);  // {"plan":{…},…}

}  // namespace payonce::agent
