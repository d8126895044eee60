#include "prompt_cache/transcript.h"

#include <algorithm>
#include <map>

#include "history/log.h"

namespace payonce::prompt_cache {
namespace {

base::Hash128 hash_of(std::string_view role, std::string_view text) {
  const base::Digest digest = base::sha256(std::string(role).append("\n").append(text));
  base::Hash128 out;
  for (size_t i = 0; i < 8; ++i) {
    out.low = out.low << 8U | digest[i];
    out.high = out.high << 8U | digest[i + 8];
  }
  return out;
}

Piece piece_of(const history::Piece& from) {
  const bool thinking = from.raw.starts_with("{\"type\":\"thinking\"");
  return {.hash = hash_of(from.role, from.raw), .chars = from.raw.size(), .at_ms = from.at_ms, .markable = !thinking};
}

// A side thread that continues a session begins with that one's pieces: the same bytes of the same file.
size_t parent_of(const history::Log& log, size_t conversation) {
  const auto& own = log.conversations[conversation];
  for (size_t other = 0; other < log.conversations.size() && !own.empty(); ++other)
    if (other != conversation)
      for (const history::Piece& piece : log.conversations[other])
        if (piece.raw.data() == own.front().raw.data()) return other < conversation ? other : conversation;
  return conversation;
}

bool is_notification(const std::vector<history::Piece>& pieces, size_t begin, size_t end) {
  for (size_t i = end; i > begin; --i)
    if (pieces[i - 1].role == "user") return pieces[i - 1].raw.starts_with("\"<task-notification>");
  return false;
}

void spread(int64_t tokens, std::vector<Piece*>& pieces) {
  size_t chars = 0;
  for (const Piece* piece : pieces) chars += piece->chars;
  for (Piece* piece : pieces) {
    piece->tokens = chars == 0 ? 0 : tokens * static_cast<int64_t>(piece->chars) / static_cast<int64_t>(chars);
    tokens -= piece->tokens;
    chars -= piece->chars;
  }
}

}  // namespace

base::Result<Log> read_log(const std::vector<std::string>& files) {
  const history::Log read = history::read(files, {.format = history::Format::kClaudeCode});
  if (!read.skipped.empty()) {
    const history::Skipped& first = read.skipped.front();
    return base::fail(base::Code::kCorrupt,
                      read.files[first.file].name + ":" + std::to_string(first.line) + ": " + first.why);
  }
  Log log;
  for (const auto& conversation : read.conversations) {
    Session& session = log.sessions.emplace_back();
    for (const history::Piece& piece : conversation) session.pieces.push_back(piece_of(piece));
  }
  std::map<size_t, size_t> heard;  // by conversation: the end of what the last request was told
  for (const history::Call& call : read.calls) {
    const size_t own = call.heard.conversation, session = parent_of(read, own);
    const std::string& file = read.files[call.file].name;
    log.sessions[own].name = file.substr(file.rfind('/') + 1);
    LoggedRequest request;
    request.session = session;
    request.begin = call.heard.begin;
    request.end = call.heard.end;
    request.at_ms = call.at_ms;
    request.readable_ms = call.at_ms + call.first_ms;
    request.model = call.model;
    request.usage = call.usage;
    request.notified = is_notification(read.conversations[own], heard[own], call.heard.end);
    request.first = session == own && heard[own] == 0;
    request.compacted = call.compacted;
    heard[own] = call.heard.end;
    if (session != own)
      request.copied.assign(log.sessions[own].pieces.begin() + static_cast<std::ptrdiff_t>(request.begin),
                            log.sessions[own].pieces.begin() + static_cast<std::ptrdiff_t>(request.end));
    log.requests.push_back(std::move(request));
  }
  return log;
}

int64_t cacheable_tokens(const LoggedRequest& request) { return request.usage.input() - request.usage.fresh; }

void assign_tokens(Log& log, const std::vector<int64_t>& head_tokens) {
  for (LoggedRequest& request : log.requests) {
    std::vector<Piece*> prompt;
    Session& session = log.sessions[request.session];
    if (request.copied.empty()) {
      for (size_t i = request.begin; i < request.end; ++i) prompt.push_back(&session.pieces[i]);
    } else {
      for (Piece& piece : request.copied) {
        for (const Piece& known : session.pieces)
          if (known.hash == piece.hash && known.at_ms == piece.at_ms) piece.tokens = known.tokens;
        prompt.push_back(&piece);
      }
    }
    int64_t known = head_tokens[request.session];
    std::vector<Piece*> added;
    for (Piece* piece : prompt) {
      if (piece->tokens < 0) added.push_back(piece);
      known += std::max<int64_t>(piece->tokens, 0);
    }
    spread(std::max<int64_t>(0, cacheable_tokens(request) - known), added);
  }
}

}  // namespace payonce::prompt_cache
