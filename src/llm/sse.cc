#include "llm/sse.h"

#include "base/find_any.h"

namespace payonce::llm {
namespace {

// Takes one line (without its end) off the front; false when there is no line end.
bool next_line(std::string_view text, size_t& at, std::string_view& line) {
  const size_t end = base::find_any<'\n', '\r'>(text, at);
  if (end == std::string_view::npos) return false;
  line = text.substr(at, end - at);
  at = end + 1;
  if (text[end] == '\r' && at < text.size() && text[at] == '\n') ++at;
  return true;
}

void read_field(std::string_view line, SseEvent& out) {
  const size_t colon = line.find(':');
  const std::string_view name = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (name == "event") out.name = value;
  if (name == "data") {
    if (out.has_data) out.data += '\n';
    out.data += value;
    out.has_data = true;
  }
}

}  // namespace

bool next_event(std::string_view& rest, SseEvent& out) {
  out = {};
  size_t at = 0;
  bool any = false;
  std::string_view line;
  while (next_line(rest, at, line)) {
    if (!line.empty()) {
      any = true;
      read_field(line, out);
      continue;
    }
    out.raw = rest.substr(0, at);
    if (any) {
      rest.remove_prefix(at);
      return true;
    }
    // Blank lines before an event belong to it.
  }
  return false;
}

void append_event(std::string& out, std::string_view name, std::string_view data) {
  if (!name.empty()) out.append("event: ").append(name).append("\n");
  out.append("data: ").append(data).append("\n\n");
}

}  // namespace payonce::llm
