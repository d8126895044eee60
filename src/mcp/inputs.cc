#include "mcp/inputs.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/ascii.h"
#include "mcp/path_state.h"
#include "mcp/tool_table.h"

namespace payonce::mcp {
namespace {

using llm::JsonType;

constexpr size_t kMaxPathBytes = 4096;

bool starts_like_a_path(const std::string& value) {
  return value.starts_with('/') || value.starts_with("~/") || value.starts_with("./") || value.starts_with("../") ||
         value.starts_with("file://");
}

// "file:///a%20b" → "/a b"; empty: not of this machine.
std::string path_of_uri(std::string_view uri) {
  uri.remove_prefix(std::string_view("file://").size());
  if (uri.starts_with("localhost/")) uri.remove_prefix(std::string_view("localhost").size());
  std::string out = base::percent_decoded(uri);
  return out.starts_with('/') ? out : std::string();
}

// "src/**/*.cc" → "src": what is matched lies below.
std::string before_wildcards(const std::string& value) {
  const size_t wild = value.find_first_of("*?[{");
  if (wild == std::string::npos) return value;
  const size_t slash = value.rfind('/', wild);
  return slash == std::string::npos ? "." : value.substr(0, std::max<size_t>(slash, 1));
}

bool is_in_git(std::filesystem::path at) {
  std::error_code ignored;
  for (; !at.empty(); at = at.parent_path()) {
    if (std::filesystem::exists(at / ".git", ignored)) return true;
    if (at == at.parent_path()) break;
  }
  return false;
}

std::optional<std::string> state_of(InputKind kind, const std::string& path, size_t& budget) {
  struct stat is{};
  switch (kind) {
    case InputKind::kFile: return file_state(path);
    case InputKind::kDirectory: return tree_state(path, budget);
    case InputKind::kAbsent:
      return stat(path.c_str(), &is) == 0 ? std::nullopt : std::optional<std::string>("absent");
    case InputKind::kGit: {  // contents are the instance's to look at; what HEAD and the refs say is cheap
      const std::string git = path + "/.git";
      if (stat(git.c_str(), &is) != 0 || !S_ISDIR(is.st_mode)) return std::string("inside");
      return tree_state(git, budget);
    }
  }
  return std::nullopt;
}

// Without its "..", a path can lead elsewhere: behind a link to a directory, that is the target's parent.
bool leads_to_the_same(const std::string& path, const std::string& plain) {
  if (path.find("..") == std::string::npos) return true;
  std::error_code error;
  return std::filesystem::equivalent(path, plain, error) && !error;
}

std::string plain(const std::filesystem::path& path) {
  std::string out = path.lexically_normal().string();
  while (out.size() > 1 && out.ends_with('/')) out.pop_back();
  return out;
}

}  // namespace

struct InputFinder::Search {
  const MessageLine& line;
  const std::set<std::string>& path_names;
  Inputs out;
  size_t budget = kMaxTreeEntries;
};

// What `path` is now, as an input; whether anything is there. Unless it is a word, it must be one that can be
// checked.
bool InputFinder::add(Search& search, const std::string& path, Reading reading) const {
  struct stat is{};
  if (stat(path.c_str(), &is) != 0) return false;
  const InputKind kind = S_ISDIR(is.st_mode) ? InputKind::kDirectory : InputKind::kFile;
  const std::string at = plain(path);
  search.out.are_named = search.out.are_named || reading != Reading::kWord;
  const auto same = [&](const Input& input) { return input.kind == kind && input.path == at; };
  if (std::any_of(search.out.found.begin(), search.out.found.end(), same)) return true;
  const auto state = leads_to_the_same(path, at) ? state_of(kind, at, search.budget) : std::nullopt;
  if (state && search.out.found.size() < kMaxInputs)
    search.out.found.push_back({kind, at, *state});
  else if (reading != Reading::kWord)
    search.out.unseen = fmt::format("'{}' is too large to check, just changed, or neither file nor directory", at);
  return true;
}

void InputFinder::look_at(Search& search, const std::string& value, Reading reading) const {
  if (value.empty() || value.size() > kMaxPathBytes || value.find('\0') != std::string::npos) return;
  std::string path = before_wildcards(value);
  if (path.starts_with("file://")) path = path_of_uri(path);
  if (path.empty() || path.find("://") != std::string::npos) return;  // elsewhere
  const char* home = getenv("HOME");
  if (path.starts_with("~/") && home != nullptr) path = home + path.substr(1);

  if (path.starts_with('/')) {
    if (add(search, path, reading)) return;
    search.out.are_named = search.out.are_named || reading == Reading::kPath;
    if (search.out.found.size() < kMaxInputs)
      search.out.found.push_back({InputKind::kAbsent, plain(path), "absent"});
    else
      search.out.unseen = "it names too many files";
    return;
  }
  bool exists = false;
  for (const auto* folders : {&folders_, &roots_})
    for (const std::string& folder : *folders) {
      const std::string at = folder + "/" + path;
      struct stat is{};
      // A word that happens to be the name of a folder is no path; a file's name is rarely anything else.
      const bool counts = reading != Reading::kWord || path.find('/') != std::string::npos ||
                          (stat(at.c_str(), &is) == 0 && S_ISREG(is.st_mode));
      if (counts) exists = add(search, at, reading) || exists;
    }
  if (reading != Reading::kWord && !exists)
    search.out.unseen = fmt::format("'{}' is nothing that can be found from here", value);
}

void InputFinder::visit(Search& search, uint32_t node, const std::string& name) const {
  const MessageLine& line = search.line;
  if (line.is(node, JsonType::kString)) {
    const std::string value = line.text(node);
    look_at(search, value,
            search.path_names.contains(name) || is_path_name(name) ? Reading::kPath
            : starts_like_a_path(value)                            ? Reading::kLooksLikeAPath
                                                                   : Reading::kWord);
  }
  line.each_element(node, [&](uint32_t element) { visit(search, element, name); });
  line.each_member(node, [&](uint32_t key, uint32_t value) { visit(search, value, line.text(key)); });
}

void InputFinder::roots_are(const MessageLine& line, uint32_t result) {
  roots_.clear();
  line.each_element(line.member(result, "roots"), [&](uint32_t root) {
    const std::string uri = line.text(line.member(root, "uri"));
    const std::string path = uri.starts_with("file://") ? path_of_uri(uri) : "";
    if (!path.empty() && roots_.size() < kMaxInputs) roots_.push_back(path);
  });
}

Inputs InputFinder::find(const MessageLine& line, uint32_t arguments, const std::set<std::string>& path_names) const {
  Search search{.line = line, .path_names = path_names, .out = {}};
  if (arguments != MessageLine::kNone) visit(search, arguments, "");
  if (!workspace_.empty()) {
    const InputKind kind = is_in_git(workspace_) ? InputKind::kGit : InputKind::kDirectory;
    const auto state = state_of(kind, workspace_, search.budget);
    search.out.are_named = true;
    if (state)
      search.out.found.push_back({kind, workspace_, *state});
    else
      search.out.unseen = fmt::format("the workspace '{}' is too large to check, or just changed", workspace_);
  }
  return std::move(search.out);
}

bool InputFinder::are_unchanged(const Inputs& inputs) {
  size_t budget = kMaxTreeEntries;
  return std::all_of(inputs.found.begin(), inputs.found.end(),
                     [&](const Input& input) { return state_of(input.kind, input.path, budget) == input.state; });
}

std::string as_deps(const Inputs& inputs) {
  std::string out = "[";
  for (const Input& input : inputs.found) {
    static constexpr const char* kTypes[] = {"file", "dir", "git"};
    if (input.kind != InputKind::kAbsent)
      out +=
          fmt::format(R"({{"type":"{}","path":{}}},)", kTypes[static_cast<int>(input.kind)], json_string(input.path));
    out +=
        fmt::format(R"({{"type":"value","name":{},"value":"{}"}},)", json_string("stat:" + input.path), input.state);
  }
  if (out.ends_with(',')) out.pop_back();
  return out + "]";
}

std::string as_part(const Inputs& inputs) {
  std::string out = "[";
  for (const Input& input : inputs.found) out += json_string(input.path) + ",";
  if (out.ends_with(',')) out.pop_back();
  return out + "]";
}

}  // namespace payonce::mcp
