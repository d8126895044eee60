// The canonical form of a request and its key. Every field counts unless a profile lists it; the spelling of JSON
// does not. Threads: pure functions.  docs/formats/keys.md shows the form byte by byte.
#pragma once

#include <string>
#include <string_view>

#include "identity/cache_key.h"
#include "identity/part_digests.h"
#include "identity/profile.h"
#include "llm/request.h"
#include "net/headers.h"

namespace payonce::identity {

// Version of the canonical form: part of every key. Raise it when the form changes; the golden test names it.
inline constexpr std::string_view kKeyVersion = "v1";

struct KeyParts {
  std::string_view scope_id;
  std::string_view target;    // "/v1/chat/completions?…": path and query count
  std::string_view upstream;  // identity of the upstream that the model routes to: two upstreams never share
  std::string_view versions;  // canonical X-Payonce-Version, see versions_of()
  std::string_view beta;      // anthropic-beta, anthropic-version, …
};

// The bytes that are hashed, for the body alone. The generic profile's rules hold beside `profile`'s. `known`, what
// was read before in this `scope`, only makes it faster: the form is the same without.
// The text of the string `elided` (a node of request.tape) counts as empty: all that stands around it is the form.
std::string canonical_form(const llm::Request& request, const Profiles& profiles, const Profile& profile,
                           PartDigests* known = nullptr, uint32_t elided = llm::Tape::kNone,
                           std::string_view scope = {});
CacheKey response_key(const llm::Request& request, const Profiles& profiles, const Profile& profile,
                      const KeyParts& parts, PartDigests* known = nullptr);
// What must be equal before two requests may be compared by what they ask last: the same key over all but the text of
// `question`. Never equal to a response_key().
CacheKey context_key(const llm::Request& request, const Profiles& profiles, const Profile& profile,
                     const KeyParts& parts, uint32_t question, PartDigests* known = nullptr);

// The same key for a request that asks for the summary of a conversation; `form` is without what changes from call to
// call. Never equal to a response_key().
CacheKey compaction_key(const llm::Request& form, const Profiles& profiles, const Profile& profile,
                        const KeyParts& parts, PartDigests* known = nullptr);

// "tools=v3, kb=2026-11" → sorted, trimmed, "kb=2026-11,tools=v3"; kInvalid when a tag is not name=value or is given
// twice.
base::Result<std::string> versions_of(const net::Headers& headers);

}  // namespace payonce::identity
