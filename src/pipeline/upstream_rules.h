// What an upstream's prompt cache is for one request: whose it is, and by which provider's rules.
// Threads: pure functions.
#pragma once

#include <string>

#include "pipeline/decision.h"
#include "prompt_cache/rules.h"

namespace payonce::pipeline {

// The prompt cache belongs to whose credential goes upstream: the upstream's own, or the caller's.
std::string account_of(const route::Upstream& upstream, const Prepared& prepared);
// Claude Code's billing line means something there; everywhere else it only breaks the cache.
bool reads_billing_header(const prompt_cache::Provider& provider);
// A request that only reads its prefix is cheap there, and prefix::ping_request() knows how it is said.
bool takes_pings(const prompt_cache::Provider& provider);
const prompt_cache::Provider& provider_of(const route::Upstream& upstream, const Prepared& prepared);

}  // namespace payonce::pipeline
