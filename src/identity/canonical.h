// The canonical form of a request and its key. Every field counts unless a profile lists it; the spelling of JSON does not.
#pragma once

#include <string>
#include <string_view>

#include "identity/cache_key.h"
#include "identity/profile.h"
#include "llm/request.h"
#include "net/headers.h"

namespace payonce::identity {

struct KeyParts {
  std::string_view scope_id;
  std::string_view target;    // "/v1/chat/completions?…": upstream path and query count
  std::string_view upstream;  // name of the upstream that the model routes to: two upstreams never share
  std::string_view versions;  // canonical X-Payonce-Version, see versions_of()
  std::string_view beta;      // anthropic-beta, anthropic-version
};

// The bytes that are hashed. For tests, `payonce cache why` and explain.
std::string canonical_form(const llm::Request& request, const Profile& profile);
CacheKey response_key(const llm::Request& request, const Profile& profile, const KeyParts& parts);

// "tools=v3, kb=2026-11" → sorted, trimmed, "kb=2026-11,tools=v3"; kInvalid when a tag is not name=value or is given twice.
base::Result<std::string> versions_of(const net::Headers& headers);

}  // namespace payonce::identity
