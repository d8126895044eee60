// The proof that a rewritten body says what the client's said, read from its bytes anew.  Threads: pure function.
#pragma once

#include <string_view>

#include "base/result.h"
#include "prefix/prompt/prompt.h"

namespace payonce::prefix {

struct Allowed {
  bool moved = false;      // text may have gone from the system to the last message
  bool stripped = false;   // a billing header may be gone
  bool cache_key = false;  // prompt_cache_key may differ
};

// Equal: the tools as a multiset, system text and messages in their order, every other member; markers do not count.
// With `moved`, the characters of system text and messages together are the same multiset, and all messages but the
// one to which they went are equal. kInternal says what differs.
base::Status check_same_request(const Prompt& original, std::string_view rewritten, const Allowed& allowed,
                                const base::KeyedHash& hash);

}  // namespace payonce::prefix
