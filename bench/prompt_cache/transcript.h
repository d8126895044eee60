// Claude Code transcripts as requests of the simulator: what each prompt held, as far as a transcript tells,
// and what was billed. A transcript has no system prompt and no tools; it has the messages, their times and the
// usage.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "llm/response.h"

namespace payonce::prompt_cache {

struct Piece {  // a content block of a message
  base::Hash128 hash;
  size_t chars = 0;
  int64_t at_ms = 0;
  int64_t tokens = -1;  // -1: not known yet, see assign_tokens
  bool markable = true;
};

struct LoggedRequest {
  size_t session = 0;
  size_t begin = 0, end = 0;  // the session's pieces that the prompt held after its head
  int64_t at_ms = 0;          // start: when the last thing that it answers was there
  int64_t readable_ms = 0;    // its first line
  std::string model;
  llm::Usage usage;           // of its last line
  bool notified = false;      // answers a <task-notification>, which Claude Code sends as a turn of its own
  bool first = false;         // of its session
  bool compacted = false;     // the first after a compaction
  std::vector<Piece> copied;  // a side request that continues another session: that one's pieces, then its own
};

struct Session {
  std::string name;
  std::vector<Piece> pieces;
};

struct Log {
  std::vector<Session> sessions;
  std::vector<LoggedRequest> requests;  // by start
};

// As history's reader of Claude Code reads them. kCorrupt for a line that it skips.
base::Result<Log> read_log(const std::vector<std::string>& files);

// Spreads what the usage says each prompt added over the pieces that it added, by their length.
// `head_tokens[session]` are the tools and the system prompt.
void assign_tokens(Log& log, const std::vector<int64_t>& head_tokens);

// The prompt up to its last breakpoint. Claude Code marks its last block.
int64_t cacheable_tokens(const LoggedRequest& request);

}  // namespace payonce::prompt_cache
