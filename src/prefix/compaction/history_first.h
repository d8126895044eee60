// A call that summarises a live session, sent as that session's next request: its tools, its system text, the
// history, and the instruction last, as a user's message. The provider then reads what it wrote for the session,
// instead of computing the history anew. Another system prompt than the agent's now leads: who summarises changes.
// Threads: pure functions.
#pragma once

#include <string>

#include "prefix/compaction/compaction_call.h"
#include "prefix/compaction/live_sessions.h"
#include "prompt_cache/rules.h"

namespace payonce::prefix {

struct HistoryFirst {
  std::string body;   // empty: nothing is gained, or not provably all of it is there
  std::string fault;  // not empty: a rewrite was dropped, and why
};

HistoryFirst history_first(const Prompt& call, const CompactionCall& shape, const LiveSessions::Found& session,
                           const prompt_cache::Invalidates& invalidates, const base::KeyedHash& hash);

}  // namespace payonce::prefix
