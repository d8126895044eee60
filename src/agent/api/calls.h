// The bodies of the agent API as they come in: docs/agents/api.md shows them.
// Threads: pure functions.  Errors: kInvalid, naming the field and what was expected.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/agent_cache.h"
#include "base/result.h"
#include "identity/part_digests.h"

namespace payonce::agent {

struct LookupCall {
  QuestionPtr question;
  std::string scope;  // to narrow the caller's
};
// `owner`: the credential, whose earlier parts alone make it quicker.
base::Result<LookupCall> read_lookup(std::string_view body, identity::PartDigests& known,
                                     std::string_view owner = {});

struct CommitCall {
  Commit commit;        // `value` borrows from the body
  std::string outcome;  // "success", "pending", or why not
  std::string run;      // set: all of that run, and no ticket
};
base::Result<CommitCall> read_commit(std::string_view body);

struct AbortCall {
  std::string ticket, run;  // one of them
};
base::Result<AbortCall> read_abort(std::string_view body);

base::Result<Selection> read_invalidate(std::string_view body);

// What was given was wrong: the entry, or the hit by meaning.
struct FeedbackCall {
  std::string entry, hit;  // one of them
  std::string scope;       // as the lookup named it
};
base::Result<FeedbackCall> read_feedback(std::string_view body);

struct HintCall {
  std::string session;
  bool ended = false;
};
base::Result<HintCall> read_hint(std::string_view body);

}  // namespace payonce::agent
