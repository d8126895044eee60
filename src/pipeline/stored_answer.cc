#include "pipeline/stored_answer.h"

#include <algorithm>
#include <string>
#include <utility>

namespace payonce::pipeline {

base::Result<Answer> stored_answer(const PreparedPtr& prepared, const cache::EntryPtr& entry, int64_t now_ms) {
  Answer out{.prepared = prepared, .entry = entry};
  const bool recorded_stream = entry->form == llm::Form::kStream;
  if (prepared->stream && recorded_stream) {
    out.content_type = entry->content_type;
    out.body = entry->include_usage == prepared->include_usage
                   ? entry->body
                   : base::Bytes(llm::restream(entry->dialect, entry->body.view(), prepared->include_usage));
  } else if (prepared->stream) {
    PAYONCE_TRY(std::string stream, llm::to_stream(entry->dialect, entry->body.view(), prepared->include_usage));
    out.content_type = "text/event-stream; charset=utf-8";
    out.body = base::Bytes(std::move(stream));
  } else if (recorded_stream) {
    PAYONCE_TRY(std::string json, llm::to_json(entry->dialect, entry->body.view()));
    out.content_type = "application/json";
    out.body = base::Bytes(std::move(json));
  } else {
    out.content_type = entry->content_type;
    out.body = entry->body;
  }
  out.age_s = std::max<int64_t>(0, (now_ms - entry->created_ms) / 1000);
  out.ttl_s = std::max<int64_t>(0, (entry->expires_ms - now_ms) / 1000);
  return out;
}

bool young_enough(const cache::Entry& entry, const Directives& directives, int64_t now_ms) {
  return !directives.max_age_s || std::max<int64_t>(0, now_ms - entry.created_ms) <= *directives.max_age_s * 1000;
}

}  // namespace payonce::pipeline
