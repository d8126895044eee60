#include "mcp/tool_table.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "base/hash.h"

namespace payonce::mcp {
namespace {

using llm::JsonType;

constexpr size_t kTagDigits = 16;
constexpr size_t kMaxTools = 10'000;  // more are not learned, so they count as unknown

bool is_path_word(const std::string& word) {
  static constexpr std::array<std::string_view, 17> kWords = {
      "path", "paths",     "file",        "files",  "filename", "filenames", "filepath", "filepaths", "dir",
      "dirs", "directory", "directories", "folder", "folders",  "cwd",       "root",     "roots"};
  return std::find(kWords.begin(), kWords.end(), word) != kWords.end();
}

// Whether a JSON Schema of a property says that its values are paths.
bool says_path(const MessageLine& line, uint32_t schema) {
  const std::string format = line.text(line.member(schema, "format"));
  if (format == "path" || format == "file-path" || format == "directory-path" || format == "file") return true;
  std::string word;
  for (const char c : line.text(line.member(schema, "description")) + " ") {
    if (base::is_letter(c)) {
      word += base::lower(c);
      continue;
    }
    if (word == "path" || word == "paths") return true;
    word.clear();
  }
  return false;
}

}  // namespace

bool is_path_name(std::string_view name) {
  std::string word;
  bool was_lower = false;
  for (const char c : std::string(name) + "_") {
    if (!base::is_letter(c) || (base::is_upper(c) && was_lower)) {  // snake_case, kebab-case, camelCase
      if (is_path_word(word)) return true;
      word.clear();
    }
    if (base::is_letter(c)) word += base::lower(c);
    was_lower = base::is_lower(c);
  }
  return false;
}

Tool ToolTable::read(const MessageLine& line, uint32_t definition, const std::string& name) const {
  Tool out;
  const uint32_t hints = line.member(definition, "annotations");
  const auto hint = [&](std::string_view which, bool fallback) {
    const uint32_t node = line.member(hints, which);
    return line.is(node, JsonType::kTrue) || (fallback && !line.is(node, JsonType::kFalse));
  };
  const bool is_idempotent = hint("idempotentHint", false);
  out.open_world = hint("openWorldHint", true);
  out.by_arguments = is_idempotent;
  if (hint("readOnlyHint", false)) out.use = is_idempotent || !out.open_world ? ToolUse::kCache : ToolUse::kRead;
  if (const auto chosen = chosen_.find(name); chosen != chosen_.end()) {
    if (chosen->second) {
      out = {.use = ToolUse::kCache, .by_arguments = true, .open_world = false, .tag = {}, .path_names = {}};
    } else if (out.use == ToolUse::kCache) {
      out.use = ToolUse::kRead;
    }
  }
  out.tag = base::hex(base::sha256(line.raw(definition))).substr(0, kTagDigits);
  line.each_member(line.member(line.member(definition, "inputSchema"), "properties"),
                   [&](uint32_t key, uint32_t schema) {
                     const std::string property = line.text(key);
                     if (is_path_name(property) || says_path(line, schema)) out.path_names.insert(property);
                   });
  return out;
}

void ToolTable::add(const MessageLine& line, uint32_t result, bool is_first) {
  if (is_first) forget();
  line.each_element(line.member(result, "tools"), [&](uint32_t definition) {
    const std::string name = line.text(line.member(definition, "name"));
    if (tools_.size() < kMaxTools) tools_.insert_or_assign(name, read(line, definition, name));
  });
  is_complete_ = !line.is(line.member(result, "nextCursor"), JsonType::kString);
}

void ToolTable::forget() {
  tools_.clear();
  is_complete_ = false;
}

const Tool* ToolTable::find(std::string_view name) const {
  const auto found = tools_.find(name);
  return found == tools_.end() ? nullptr : &found->second;
}

}  // namespace payonce::mcp
