#include "lint/input.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "history/open_file.h"
#include "history/paths.h"
#include "llm/json_tape.h"

namespace payonce::lint {
namespace {

constexpr std::array<std::string_view, 7> kTemplateEndings = {".j2",     ".jinja",    ".jinja2", ".tmpl",
                                                              ".prompt", ".mustache", ".hbs"};

bool is_wanted(std::string_view name) {
  return history::has_log_ending(name) || std::any_of(kTemplateEndings.begin(), kTemplateEndings.end(),
                                                      [&](std::string_view end) { return name.ends_with(end); });
}

bool begins_with_json(std::string_view text) {
  const auto is_container = [](const auto& tape) {
    return tape.has_value() &&
           ((*tape)[0].type == llm::JsonType::kObject || (*tape)[0].type == llm::JsonType::kArray);
  };
  if (is_container(llm::Tape::parse(text))) return true;
  for (int lines = 0; lines < 20 && !text.empty(); ++lines) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (llm::Tape::parse(line).has_value()) return true;
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return false;
}

void fail(Input& input, const std::string& name, std::string why) {
  input.unreadable = true;
  input.skip(name, 0, std::move(why));
}

void read_sources(Input& input, const std::vector<history::Source>& texts) {
  std::vector<history::Source> logs;
  for (const history::Source& source : texts)
    if (history::has_log_ending(source.name) || begins_with_json(*source.text))
      logs.push_back(source);
    else
      input.templates.push_back({source.name, *source.text});
  input.log = history::read_sources(logs, {.by_time = false});
  for (const history::Skipped& skipped : input.log.skipped)
    input.skip(input.log.files[skipped.file].name, skipped.line, skipped.why);
  input.skipped_count += input.log.skipped_count() - input.log.skipped.size();
  std::map<uint32_t, size_t> bodiless;  // by file
  for (const history::Call& call : input.log.calls)
    if (call.request.empty()) ++bodiless[call.file];
  for (const auto& [file, calls] : bodiless)
    input.skip(input.log.files[file].name, 0,
               fmt::format("no request bodies in it, as {} logs have none: nothing to look into (calls: {})",
                           history::format_name(input.log.files[file].format), calls));
}

}  // namespace

void Input::skip(std::string file, size_t line, std::string why) {
  skipped.push_back({std::move(file), line, std::move(why)});
  ++skipped_count;
}

Input read_texts(const std::vector<history::Source>& texts) {
  Input input;
  read_sources(input, texts);
  return input;
}

Input read_input(const std::vector<std::string>& paths) {
  Input input;
  const history::FoundFiles found = history::find_files(paths, kMaxFiles, is_wanted);
  for (const auto& [path, why] : found.failed) fail(input, path, why);
  std::vector<history::Source> texts;
  for (const std::string& name : found.names) {
    auto opened = history::open_file(input.opened, name, {});
    if (!opened) {
      fail(input, name, std::move(opened.error().message));
      continue;
    }
    if (!opened->damage.empty()) input.skip(name, 0, opened->damage);
    texts.push_back({name, opened->text});
  }
  read_sources(input, texts);
  return input;
}

}  // namespace payonce::lint
