#include "prompt_cache/transcript.h"

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>

namespace payonce::prompt_cache {
namespace {

namespace json = boost::json;

std::string_view text_of(const json::object& from, std::string_view name) {
  const json::value* value = from.if_contains(name);
  return value != nullptr && value->is_string() ? std::string_view(value->as_string()) : std::string_view();
}

bool flag_of(const json::object& from, std::string_view name) {
  const json::value* value = from.if_contains(name);
  return value != nullptr && value->is_bool() && value->as_bool();
}

int64_t count_of(const json::object& from, std::string_view name) {
  const json::value* value = from.if_contains(name);
  return value != nullptr && value->is_int64() ? value->as_int64() : 0;
}

// "2026-02-11T20:36:47.925Z"
int64_t unix_ms(std::string_view stamp) {
  int year = 0, hour = 0, minute = 0, second = 0, ms = 0;
  unsigned month = 0, day = 0;
  if (std::sscanf(std::string(stamp).c_str(), "%d-%u-%uT%d:%d:%d.%dZ", &year, &month, &day, &hour, &minute, &second,
                  &ms) < 6)
    return 0;
  const std::chrono::sys_days date{std::chrono::year{year} / std::chrono::month{month} / std::chrono::day{day}};
  return std::chrono::milliseconds(date.time_since_epoch()).count() +
         ((hour * 60 + minute) * 60 + second) * int64_t{1000} + ms;
}

base::Hash128 hash_of(std::string_view role, std::string_view text) {
  const base::Digest digest = base::sha256(std::string(role).append("\n").append(text));
  base::Hash128 out;
  for (size_t i = 0; i < 8; ++i) {
    out.low = out.low << 8U | digest[i];
    out.high = out.high << 8U | digest[i + 8];
  }
  return out;
}

llm::Usage usage_of(const json::object& from) {
  llm::Usage out;
  out.fresh = count_of(from, "input_tokens");
  out.read = count_of(from, "cache_read_input_tokens");
  out.write_short = count_of(from, "cache_creation_input_tokens");
  if (const json::value* split = from.if_contains("cache_creation"); split != nullptr && split->is_object())
    out.write_long = count_of(split->as_object(), "ephemeral_1h_input_tokens");
  out.write_short -= out.write_long;
  out.output = count_of(from, "output_tokens");
  out.known = true;
  return out;
}

class Reader {
 public:
  Reader(Log& log, size_t session) : log_(log), session_(session) {}

  void row(const json::object& row) {
    const std::string_view type = text_of(row, "type");
    if (text_of(row, "subtype") == "compact_boundary") {
      begin_ = pieces().size();
      compacted_ = true;
    }
    if (type != "user" && type != "assistant") return;
    const json::object& message = row.at("message").as_object();
    const int64_t at_ms = unix_ms(text_of(row, "timestamp"));
    if (rows_++ == 0 && flag_of(row, "isSidechain"))
      log_.sessions[session_].continues = std::string(text_of(row, "parentUuid"));
    log_.sessions[session_].uuids.emplace_back(text_of(row, "uuid"));
    if (type == "assistant" && text_of(message, "model") != "<synthetic>") reply(message, at_ms);
    if (type == "user") {
      asked_ms_ = std::max(asked_ms_, at_ms);
      const json::value& content = message.at("content");
      notified_ = content.is_string() && content.as_string().starts_with("<task-notification>");
    }
    add_pieces(type, message.at("content"), at_ms);
  }

 private:
  std::vector<Piece>& pieces() { return log_.sessions[session_].pieces; }

  void reply(const json::object& message, int64_t at_ms) {
    const std::string id(text_of(message, "id"));
    const llm::Usage usage = usage_of(message.at("usage").as_object());
    if (const auto known = by_id_.find(id); known != by_id_.end()) {
      log_.requests[known->second].usage = usage;
      return;
    }
    by_id_[id] = log_.requests.size();
    LoggedRequest request;
    request.session = session_;
    request.begin = begin_;
    request.end = pieces().size();
    request.at_ms = asked_ms_ == 0 ? at_ms : std::min(asked_ms_, at_ms);
    request.readable_ms = at_ms;
    request.model = text_of(message, "model");
    request.usage = usage;
    request.notified = std::exchange(notified_, false);
    request.compacted = std::exchange(compacted_, false);
    request.first = by_id_.size() == 1;
    log_.requests.push_back(std::move(request));
  }

  void add_pieces(std::string_view role, const json::value& content, int64_t at_ms) {
    const auto add = [&](const json::value& value, bool markable) {
      const std::string text = json::serialize(value);
      pieces().push_back({.hash = hash_of(role, text), .chars = text.size(), .at_ms = at_ms, .markable = markable});
    };
    if (!content.is_array()) return add(content, true);
    for (const json::value& block : content.as_array())
      add(block, !block.is_object() || text_of(block.as_object(), "type") != "thinking");
  }

  Log& log_;
  const size_t session_;
  std::map<std::string, size_t> by_id_;
  size_t begin_ = 0;
  size_t rows_ = 0;
  int64_t asked_ms_ = 0;
  bool notified_ = false;
  bool compacted_ = false;
};

// A side request that continues another session (compaction does) has that one's pieces of its time before its own.
void resolve_continued(Log& log) {
  for (LoggedRequest& request : log.requests) {
    const std::string& uuid = log.sessions[request.session].continues;
    if (uuid.empty()) continue;
    for (size_t s = 0; s < log.sessions.size(); ++s) {
      const Session& parent = log.sessions[s];
      if (s == request.session || std::find(parent.uuids.begin(), parent.uuids.end(), uuid) == parent.uuids.end())
        continue;
      size_t begin = 0;
      for (const LoggedRequest& other : log.requests)
        if (other.session == s && other.at_ms <= request.at_ms) begin = other.begin;
      for (size_t i = begin; i < parent.pieces.size() && parent.pieces[i].at_ms < request.readable_ms; ++i)
        request.copied.push_back(parent.pieces[i]);
      const auto& own = log.sessions[request.session].pieces;
      for (size_t i = request.begin; i < request.end; ++i) request.copied.push_back(own[i]);
      request.first = false;
      request.session = s;
      break;
    }
  }
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
  Log log;
  for (const std::string& name : files) {
    log.sessions.push_back({.name = name.substr(name.rfind('/') + 1), .continues = {}, .pieces = {}, .uuids = {}});
    Reader reader(log, log.sessions.size() - 1);
    std::ifstream file(name);
    std::string line;
    for (size_t number = 1; std::getline(file, line); ++number) {
      boost::system::error_code error;
      const json::value row = json::parse(line, error);
      if (error || !row.is_object())
        return base::fail(base::Code::kCorrupt, name + ":" + std::to_string(number) + ": not a JSON object");
      reader.row(row.as_object());
    }
  }
  std::stable_sort(log.requests.begin(), log.requests.end(),
                   [](const LoggedRequest& a, const LoggedRequest& b) { return a.at_ms < b.at_ms; });
  resolve_continued(log);
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
