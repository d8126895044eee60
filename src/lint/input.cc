#include "lint/input.h"

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <system_error>

#include "lint/unpack.h"
#include "llm/json_tape.h"

namespace payonce::lint {
namespace {

namespace fs = std::filesystem;
using llm::JsonType;
using llm::Tape;

constexpr std::array<std::string_view, 4> kLogEndings = {".jsonl", ".ndjson", ".json", ".log"};
constexpr std::string_view kPacked = ".zst";  // behind one of those
constexpr std::array<std::string_view, 7> kTemplateEndings = {".j2",     ".jinja",    ".jinja2", ".tmpl",
                                                              ".prompt", ".mustache", ".hbs"};

bool ends_as(std::string_view name, const auto& endings) {
  if (name.ends_with(kPacked)) name.remove_suffix(kPacked.size());
  return std::any_of(endings.begin(), endings.end(), [&](std::string_view end) { return name.ends_with(end); });
}

void add_row(Input& input, std::string_view text, size_t line, size_t column) {
  auto row = read_row(text);
  if (!row) {
    input.skipped.push_back({input.files.back().name, line, row.error().message});
    return;
  }
  row->file = input.files.size() - 1;
  row->line = line;
  row->column += column;
  ++input.files.back().rows;
  input.rows.push_back(std::move(*row));
}

size_t line_of(std::string_view text, size_t at) {
  return 1 + static_cast<size_t>(std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(at), '\n'));
}

// One JSON value over several lines, or one line: a request, a row, a list of them. False: it is something else.
bool whole_value(Input& input, std::string_view text) {
  const auto tape = Tape::parse(text);
  if (!tape) return false;
  if ((*tape)[0].type == JsonType::kObject) {
    add_row(input, text, line_of(text, (*tape)[0].begin), 0);
    return true;
  }
  if ((*tape)[0].type != JsonType::kArray) return false;
  uint32_t at = 1;
  for (uint32_t i = 0; i < (*tape)[0].children; ++i, at = (*tape)[at].next)
    add_row(input, tape->raw(text, at), line_of(text, (*tape)[at].begin), (*tape)[at].begin);
  return true;
}

bool first_line_is_json(std::string_view text) {
  for (int lines = 0; lines < 20 && !text.empty(); ++lines) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (Tape::parse(line).has_value()) return true;
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return false;
}

void read_stream(Input& input, const std::string& name, std::istream& stream) {
  std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  read_text(input, name, std::move(text));
}

void fail(Input& input, const std::string& name, std::string why) {
  input.unreadable = true;
  input.skipped.push_back({name, 0, std::move(why)});
}

void read_file(Input& input, const std::string& name) {
  std::error_code error;
  const auto size = fs::file_size(name, error);
  if (!error && size > kMaxFileBytes) return fail(input, name, "larger than 4 GiB: split it");
  std::ifstream stream(name, std::ios::binary);
  if (!stream) return fail(input, name, "cannot be opened");
  if (!name.ends_with(kPacked)) return read_stream(input, name, stream);
  auto text = unpack(std::string{std::istreambuf_iterator<char>(stream), {}}, kMaxFileBytes);
  if (!text) return fail(input, name, text.error().message);
  read_text(input, name, *std::move(text));
}

void read_folder(Input& input, const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(folder, fs::directory_options::skip_permission_denied, error);
       !error && it != fs::recursive_directory_iterator() && names.size() < kMaxFiles; it.increment(error)) {
    const std::string name = it->path().string();
    if (it->is_regular_file(error) && (ends_as(name, kLogEndings) || ends_as(name, kTemplateEndings)))
      names.push_back(name);
  }
  if (error) return fail(input, folder, error.message());
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) read_file(input, name);
  if (names.empty()) fail(input, folder, "no .jsonl, .ndjson, .json, .log or template in it");
}

void read_glob(Input& input, const std::string& pattern) {
  glob_t found{};
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0)
    for (size_t i = 0; i < std::min(found.gl_pathc, kMaxFiles); ++i) read_file(input, found.gl_pathv[i]);
  else
    fail(input, pattern, "no such file");
  ::globfree(&found);
}

}  // namespace

void read_text(Input& input, std::string name, std::string text) {
  const bool is_log = ends_as(name, kLogEndings);
  input.files.push_back({.name = std::move(name), .text = std::make_unique<std::string>(std::move(text))});
  const std::string_view all = *input.files.back().text;
  if (whole_value(input, all)) return;
  if (!is_log && !first_line_is_json(all)) {
    input.files.back().is_template = true;
    return;
  }
  size_t line = 1;
  for (size_t at = 0; at < all.size(); ++line) {
    const size_t end = std::min(all.find('\n', at), all.size());
    const std::string_view one = all.substr(at, end - at);
    if (one.find_first_not_of(" \t\r") != std::string_view::npos) add_row(input, one, line, 0);
    at = end + 1;
  }
}

Input read_input(const std::vector<std::string>& paths) {
  Input input;
  for (const std::string& path : paths) {
    std::error_code error;
    if (path == "-")
      read_stream(input, path, std::cin);
    else if (fs::is_directory(path, error))
      read_folder(input, path);
    else if (fs::exists(path, error))
      read_file(input, path);
    else
      read_glob(input, path);
  }
  return input;
}

}  // namespace payonce::lint
