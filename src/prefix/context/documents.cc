#include "prefix/context/documents.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/ascii.h"

namespace payonce::prefix {
namespace {

using base::lowered;
using base::trimmed;

constexpr size_t kMaxDocuments = 256;
constexpr size_t kMaxName_bytes = 60;
constexpr size_t kMinLabelled_bytes = 60;  // of each on average: shorter ones may be a list of steps
constexpr std::array<std::string_view, 7> kTags = {"document", "doc",     "passage",      "chunk",
                                                   "source",   "context", "search_result"};
constexpr std::array<std::string_view, 10> kHeadings = {
    "context",        "documents",           "sources",           "passages",   "references",
    "search results", "retrieved documents", "retrieved context", "background", "retrieved passages"};
constexpr std::array<std::string_view, 8> kQuestions = {"question", "query", "user question", "user query",
                                                        "q",        "task",  "user",          "request"};
constexpr std::array<std::string_view, 6> kLabels = {"document", "doc", "passage", "chunk", "source", "result"};

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool is_blank(std::string_view text) { return std::all_of(text.begin(), text.end(), is_space); }
bool is_line_start(std::string_view text, size_t at) { return at == 0 || text[at - 1] == '\n'; }
bool is_digits(std::string_view text) {
  return !text.empty() && text.size() <= 4 && std::ranges::all_of(text, base::is_digit);
}

// "### Context:" → "context"
std::string heading_words(std::string_view line) {
  line = trimmed(line);
  while (!line.empty() && (line.front() == '#' || line.front() == '*')) line.remove_prefix(1);
  while (!line.empty() && (line.back() == ':' || line.back() == '*')) line.remove_suffix(1);
  return lowered(trimmed(line));
}

template <size_t N>
bool is_one_of(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

struct Line {
  size_t begin = 0, end = 0;  // without its line feed
  std::string_view in(std::string_view text) const { return text.substr(begin, end - begin); }
};

std::vector<Line> lines_of(std::string_view text) {
  std::vector<Line> out;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    out.push_back({at, end});
    at = end + 1;
  }
  return out;
}

bool is_heading(std::string_view line) {
  return line.size() <= 40 && trimmed(line).find(':') != std::string_view::npos
             ? trimmed(line).ends_with(':') && is_one_of(kHeadings, heading_words(line))
             : trimmed(line).starts_with('#') && is_one_of(kHeadings, heading_words(line));
}

// A line that asks: "Question: …", "## Question".
bool is_question(std::string_view line) {
  const std::string_view text = trimmed(line);
  const size_t colon = text.substr(0, 24).find(':');
  if (colon != std::string_view::npos) return is_one_of(kQuestions, heading_words(text.substr(0, colon)));
  return text.starts_with('#') && is_one_of(kQuestions, heading_words(text));
}

bool is_rule(std::string_view line) {
  const std::string_view text = trimmed(line);
  return text.size() >= 3 && (text.find_first_not_of('-') == text.npos || text.find_first_not_of('=') == text.npos);
}

void note_separators(std::string_view text, DocumentRun& run) {
  const std::vector<Document>& of = run.documents;
  run.may_change_order = of.size() >= 2;
  const auto between = [&](size_t i) {
    const size_t end = of[i].begin + of[i].size;
    return text.substr(end, of[i + 1].begin - end);
  };
  for (size_t i = 0; i + 2 < of.size(); ++i)
    if (between(i) != between(i + 1)) run.may_change_order = false;
}

// ---- tagged --------------------------------------------------------------------------------------

std::string attribute(std::string_view open, std::string_view name) {
  for (size_t at = open.find(name); at != open.npos; at = open.find(name, at + 1)) {
    if (at == 0 || !is_space(open[at - 1])) continue;
    std::string_view rest = open.substr(at + name.size());
    if (rest.size() < 3 || rest[0] != '=' || (rest[1] != '"' && rest[1] != '\'')) continue;
    const size_t close = rest.find(rest[1], 2);
    if (close != rest.npos && close - 2 <= kMaxName_bytes) return std::string(rest.substr(2, close - 2));
  }
  return {};
}

std::string tagged_name(std::string_view tag, std::string_view open, std::string_view inside) {
  for (const std::string_view name : {"index", "id", "number", "title", "name", "source"})
    if (const std::string value = attribute(open, name); !value.empty()) return std::string(tag) + " " + value;
  for (const std::string_view name : {"source", "title"}) {
    const std::string opens = "<" + std::string(name) + ">", closes = "</" + std::string(name) + ">";
    const size_t at = inside.find(opens), end = inside.find(closes);
    if (at == inside.npos || end == inside.npos || end < at + opens.size()) continue;
    const std::string_view value = trimmed(inside.substr(at + opens.size(), end - at - opens.size()));
    if (!value.empty() && value.size() <= kMaxName_bytes && value.find('\n') == value.npos) return std::string(value);
  }
  return {};
}

size_t find_open(std::string_view text, std::string_view tag, size_t from) {
  for (size_t at = text.find('<', from); at != text.npos; at = text.find('<', at + 1)) {
    const size_t end = at + 1 + tag.size();
    if (end < text.size() && text.substr(at + 1, tag.size()) == tag && (text[end] == '>' || is_space(text[end])))
      return at;
  }
  return text.npos;
}

// An enclosing tag, and a heading above.
void take_surroundings(std::string_view text, DocumentRun& run) {
  size_t before = run.begin, after = run.end;
  while (before > 0 && is_space(text[before - 1])) --before;
  while (after < text.size() && is_space(text[after])) ++after;
  if (before > 0 && text[before - 1] == '>') {
    const size_t open = text.rfind('<', before - 1);
    if (open != text.npos && text[open + 1] != '/') {
      const std::string_view name = text.substr(open + 1, before - open - 2);
      const std::string close = "</" + std::string(name) + ">";
      if (!name.empty() && name.find(' ') == name.npos && text.substr(after).starts_with(close) &&
          is_line_start(text, open)) {
        run.begin = static_cast<uint32_t>(open);
        run.end = static_cast<uint32_t>(after + close.size());
      }
    }
  }
  size_t end = run.begin;
  while (end > 0 && is_space(text[end - 1])) --end;
  const size_t begin = end == 0 ? 0 : text.rfind('\n', end - 1) == text.npos ? 0 : text.rfind('\n', end - 1) + 1;
  if (end > begin && is_heading(text.substr(begin, end - begin))) run.begin = static_cast<uint32_t>(begin);
}

std::optional<DocumentRun> tagged(std::string_view text, std::string_view tag) {
  const std::string close = "</" + std::string(tag) + ">";
  if (text.find(close) == text.npos) return std::nullopt;
  DocumentRun run;
  size_t at = 0;
  for (size_t open = find_open(text, tag, 0); open != text.npos; open = find_open(text, tag, at)) {
    const size_t end = text.find(close, open);
    if (end == text.npos || run.documents.size() == kMaxDocuments) return std::nullopt;
    const size_t inner = text.find('>', open);
    if (inner > end) return std::nullopt;
    if (find_open(text, tag, open + 1) < end) return std::nullopt;  // one in another
    if (run.documents.empty() ? !is_line_start(text, open) : !is_blank(text.substr(at, open - at)))
      return std::nullopt;  // words between two documents, or a tag that is talked about
    at = end + close.size();
    run.documents.push_back({.begin = static_cast<uint32_t>(open),
                             .size = static_cast<uint32_t>(at - open),
                             .name = tagged_name(tag, text.substr(open, inner - open),
                                                 text.substr(inner + 1, std::min<size_t>(end - inner - 1, 400)))});
  }
  if (run.documents.empty() || text.find(close, at) != text.npos) return std::nullopt;
  run.begin = run.documents.front().begin;
  run.end = static_cast<uint32_t>(at);
  take_surroundings(text, run);
  note_separators(text, run);
  return run;
}

// ---- labelled ------------------------------------------------------------------------------------

// "[3]", "Document 3", "### Source 12" at the start of a line; empty: none.
std::string label_of(std::string_view line) {
  std::string_view text = line.substr(0, 40);
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == text.npos || !is_digits(text.substr(1, close - 1))) return {};
    if (close + 1 < line.size() && !is_space(line[close + 1]) && line[close + 1] != ':') return {};
    return std::string(text.substr(0, close + 1));
  }
  while (text.starts_with('#') || text.starts_with('*') || text.starts_with(' ')) text.remove_prefix(1);
  const size_t space = text.find(' ');
  if (space == text.npos || !is_one_of(kLabels, lowered(text.substr(0, space)))) return {};
  size_t end = space + 1;
  while (end < text.size() && base::is_digit(text[end])) ++end;
  if (!is_digits(text.substr(space + 1, end - space - 1))) return {};
  if (end < text.size() && text[end] != ':' && text[end] != '*' && text[end] != '.') return {};
  return std::string(text.substr(0, end));
}

struct Chunk {
  size_t first = 0;  // line
  std::string name;
};

// Line behind the last document; 0: not sure.
size_t end_of_last(std::string_view text, const std::vector<Line>& lines, const std::vector<Chunk>& chunks) {
  const auto blank = [&](size_t i) { return is_blank(lines[i].in(text)); };
  size_t last = chunks.back().first + 1;
  for (size_t i = last; i < lines.size(); ++i)
    if (is_question(lines[i].in(text)) || is_rule(lines[i].in(text)) || trimmed(lines[i].in(text)).starts_with("</"))
      return i;
  // No question behind: a document ends at a blank line if all the others hold none.
  for (size_t c = 0; c + 1 < chunks.size(); ++c) {
    size_t end = chunks[c + 1].first;
    while (end > chunks[c].first && (blank(end - 1) || is_rule(lines[end - 1].in(text)))) --end;
    for (size_t i = chunks[c].first; i < end; ++i)
      if (blank(i)) return 0;
  }
  while (last < lines.size() && !blank(last)) ++last;
  return last;
}

// Documents that begin at the chunks' lines; blank lines and rules between them are separators.
std::optional<DocumentRun> run_of(std::string_view text, const std::vector<Line>& lines,
                                  const std::vector<Chunk>& chunks, size_t end_line) {
  DocumentRun run;
  for (size_t c = 0; c < chunks.size(); ++c) {
    size_t end = c + 1 < chunks.size() ? chunks[c + 1].first : end_line;
    while (end > chunks[c].first && (is_blank(lines[end - 1].in(text)) || is_rule(lines[end - 1].in(text)))) --end;
    if (end == chunks[c].first) return std::nullopt;
    const size_t begin = lines[chunks[c].first].begin;
    run.documents.push_back({.begin = static_cast<uint32_t>(begin),
                             .size = static_cast<uint32_t>(lines[end - 1].end - begin),
                             .name = chunks[c].name});
  }
  run.begin = run.documents.front().begin;
  run.end = run.documents.back().begin + run.documents.back().size;
  take_surroundings(text, run);
  note_separators(text, run);
  return run;
}

std::optional<DocumentRun> labelled(std::string_view text, const std::vector<Line>& lines) {
  std::vector<Chunk> chunks;
  for (size_t i = 0; i < lines.size(); ++i) {
    std::string name = label_of(lines[i].in(text));
    if (name.empty()) continue;
    const bool apart = i == 0 || is_blank(lines[i - 1].in(text)) || is_rule(lines[i - 1].in(text)) ||
                       is_heading(lines[i - 1].in(text)) || trimmed(lines[i - 1].in(text)).starts_with('<');
    if (!apart) return std::nullopt;
    if (!chunks.empty() && (chunks.front().name.front() == '[') != (name.front() == '[')) return std::nullopt;
    for (const Chunk& chunk : chunks)
      if (chunk.name == name) return std::nullopt;
    chunks.push_back({i, std::move(name)});
    if (chunks.size() > kMaxDocuments) return std::nullopt;
  }
  if (chunks.size() < 2) return std::nullopt;
  const size_t end = end_of_last(text, lines, chunks);
  if (end == 0) return std::nullopt;
  auto run = run_of(text, lines, chunks, end);
  if (!run || run->end - run->begin < kMinLabelled_bytes * chunks.size()) return std::nullopt;
  return run;
}

// ---- below a heading, before a question ----------------------------------------------------------

std::optional<DocumentRun> headed(std::string_view text, const std::vector<Line>& lines) {
  size_t heading = lines.size(), question = lines.size();
  for (size_t i = 0; i < lines.size(); ++i) {
    if (is_heading(lines[i].in(text))) {
      if (heading != lines.size()) return std::nullopt;
      heading = i;
    }
    if (heading != lines.size() && is_question(lines[i].in(text))) {
      if (question != lines.size()) return std::nullopt;
      question = i;
    }
  }
  if (heading == lines.size() || question == lines.size()) return std::nullopt;
  std::vector<Chunk> chunks;
  bool begins = true;
  for (size_t i = heading + 1; i < question; ++i) {
    if (is_blank(lines[i].in(text))) continue;
    if (!is_rule(lines[i].in(text)) && begins) chunks.push_back({i, {}});
    begins = is_rule(lines[i].in(text));
  }
  if (chunks.empty() || chunks.size() > kMaxDocuments) return std::nullopt;
  return run_of(text, lines, chunks, question);
}

}  // namespace

std::optional<DocumentRun> documents_of(std::string_view text) {
  if (text.size() < kMinLabelled_bytes || text.size() > UINT32_MAX) return std::nullopt;
  std::optional<DocumentRun> found;
  bool has_tags = false;
  for (const std::string_view tag : kTags) {
    auto run = tagged(text, tag);
    if (!run) continue;
    has_tags = true;
    // Of tags within each other the inner ones are the documents, if they are several.
    const bool inside = found && run->documents.front().begin >= found->begin && run->end <= found->end;
    if (!found || (inside ? run->documents.size() >= found->documents.size()
                          : run->begin <= found->begin && run->end >= found->end &&
                                run->documents.size() > found->documents.size()))
      found = std::move(run);
  }
  if (has_tags && found->documents.size() > 1) return found;
  const std::vector<Line> lines = lines_of(text);
  auto by_label = labelled(text, lines);
  if (has_tags) {  // "<context>" around labelled ones
    const Document& only = found->documents.front();
    const bool inside = by_label && by_label->documents.front().begin >= only.begin &&
                        by_label->documents.back().begin + by_label->documents.back().size <= only.begin + only.size;
    if (!inside) return found;
    by_label->begin = std::min(by_label->begin, found->begin);
    by_label->end = std::max(by_label->end, found->end);
    return by_label;
  }
  return by_label ? by_label : headed(text, lines);
}

}  // namespace payonce::prefix
