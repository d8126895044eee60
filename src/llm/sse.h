// Server-sent events (WHATWG HTML 9.2) as far as LLM providers use them: `event:` and `data:` lines, a blank line
// ends one. Threads: pure functions.
#pragma once

#include <string>
#include <string_view>

namespace payonce::llm {

struct SseEvent {
  std::string_view raw;   // the bytes of the event with its blank line
  std::string_view name;  // `event:`, empty when none
  std::string data;       // `data:` lines joined by "\n"
  bool has_data = false;
};

// Reads the next event off the front of `rest`. False when no whole event is left: `rest` then holds what is
// unfinished. Line ends LF, CRLF and CR are taken.
bool next_event(std::string_view& rest, SseEvent& out);

// Appends "event: name\n" (when not empty) and "data: json\n\n".
void append_event(std::string& out, std::string_view name, std::string_view data);

}  // namespace payonce::llm
