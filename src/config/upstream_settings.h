// [upstreams.NAME] and --upstream.  Threads: any.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/env.h"
#include "config/load.h"
#include "config/reader.h"
#include "route/routes.h"

namespace payonce::config {

std::span<const Key> upstream_keys();

// The upstreams in the order of the file. Reads their key files and the variables that hold their keys.
std::vector<route::UpstreamPtr> read_upstreams(const toml::table& root, const std::string& file, const GetEnv& env,
                                               base::Env& files, Problems& problems);

// The one upstream, named "upstream", of --upstream URL and --upstream-anthropic URL; one of them may be empty.
// `provider`: a row of prompt_cache::Providers; empty: by host and model.
base::Result<route::UpstreamPtr> upstream_of_urls(const std::string& url, const std::string& anthropic_url,
                                                  const std::string& provider = {});

// What other named tables share with [upstreams.NAME]: a URL without a credential; key_env and key_file, of `name`;
// timeouts, http2, verify_tls and ca_file.
base::Result<std::string> checked_url(std::string_view text);
void read_upstream_key(const TableReader& reader, const std::string& name, const GetEnv& env, base::Env& files,
                       route::Upstream& out, Problems& problems);
void read_connection(const TableReader& reader, base::Env& files, route::Upstream& out);

}  // namespace payonce::config
