#include "identity/canonical.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ascii.h"
#include "base/hash.h"
#include "identity/canonical_number.h"

namespace payonce::identity {
namespace {

using llm::Dialect;
using llm::JsonNode;
using llm::JsonType;

// Where a dialect takes a plain string for a list of one text part, and where it writes ids that only link messages.
struct Shapes {
  std::vector<Path> texts;
  std::vector<Path> links;
};

const Shapes& shapes_of(Dialect dialect) {
  static const Shapes kChat{
      .texts = {{"messages", "[]", "content"}},
      .links = {{"messages", "[]", "tool_calls", "[]", "id"}, {"messages", "[]", "tool_call_id"}}};
  static const Shapes kMessages{
      .texts = {{"system"}, {"messages", "[]", "content"}, {"messages", "[]", "content", "[]", "content"}},
      .links = {{"messages", "[]", "content", "[]", "id"}, {"messages", "[]", "content", "[]", "tool_use_id"}}};
  static const Shapes kResponses{.texts = {{"input", "[]", "content"}}, .links = {{"input", "[]", "call_id"}}};
  static const Shapes kGemini{.texts = {},
                              .links = {{"contents", "[]", "parts", "[]", "functionCall", "id"},
                                        {"contents", "[]", "parts", "[]", "functionResponse", "id"}}};
  static const Shapes kPlain;
  switch (dialect) {
    case Dialect::kOpenAiChat: return kChat;
    case Dialect::kAnthropicMessages:
    case Dialect::kAnthropicCountTokens: return kMessages;
    case Dialect::kOpenAiResponses: return kResponses;
    case Dialect::kGemini: return kGemini;
    default: return kPlain;
  }
}

// Smaller parts are hashed as fast as they are found.
constexpr size_t kKnownPartBytes = 512;

class FormWriter {
 public:
  FormWriter(const llm::Request& request, const Profile& generic, const Profile& profile, PartDigests* known,
             uint32_t elided, std::string_view scope)
      : tape_(request.tape),
        text_(request.body.view()),
        dialect_(request.dialect),
        generic_(generic),
        profile_(profile),
        shapes_(shapes_of(request.dialect)),
        known_(known),
        elided_(elided),
        scope_(scope) {
    out_.reserve(4096);
    for (const Path& path : generic_.ignore) deepest_ignored_ = std::max(deepest_ignored_, path.size());
  }
  std::string write() {
    value(0, 0);
    if (profile_used_) fmt::format_to(std::back_inserter(out_), "\nprofile={}:{}", profile_.name, profile_.version);
    return std::move(out_);
  }

 private:
  struct Member {
    std::string_view key;  // decoded
    uint32_t value;
  };

  void value(uint32_t node, uint32_t parent) { is_part() ? part(node, parent) : plain_value(node, parent); }
  void plain_value(uint32_t node, uint32_t parent);
  bool is_part() const;
  void part(uint32_t node, uint32_t parent);
  void seal(size_t begin, const base::Digest& digest);
  void object(uint32_t node);
  std::vector<Member> take_spare();
  void array(uint32_t node);
  void string(std::string_view decoded) {
    out_ += '"';
    number(decoded.size());
    out_ += ':';
    out_ += decoded;
  }
  void number(size_t value) {
    char digits[20];
    out_.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
  }
  void text_value(uint32_t node, uint32_t parent);
  void text_part(std::string_view type, std::string_view decoded);
  void link(std::string_view id);
  std::string_view decoded(uint32_t node, std::string& storage) const;
  std::string_view text_at(uint32_t object, std::string_view key, std::string& storage) const;

  // The last name first: it differs most.
  bool at(const Path& path) const {
    return path.size() == path_.size() && path.back() == path_.back() &&
           std::equal(path.begin(), path.end(), path_.begin());
  }
  bool at_any(const std::vector<Path>& paths) const {
    if (paths.empty()) return false;
    return std::any_of(paths.begin(), paths.end(), [&](const Path& path) { return at(path); });
  }
  bool ignored(uint32_t parent, uint32_t node);
  bool says_itself(uint32_t item) const;
  bool mask(std::string& decoded);

  const llm::Tape& tape_;
  const std::string_view text_;
  const Dialect dialect_;
  const Profile& generic_;
  const Profile& profile_;
  const Shapes& shapes_;
  std::string out_;
  std::vector<std::string_view> path_;
  PartDigests* const known_;
  const uint32_t elided_;
  const std::string_view scope_;
  uint32_t part_ = llm::Tape::kNone;  // the one being written
  const std::string rules_ = fmt::format("{}|{}", llm::dialect_name(dialect_), profile_.name);
  std::unordered_map<std::string, size_t> links_;
  size_t link_uses_ = 0;
  size_t deepest_ignored_ = 0;  // by the generic profile; most members of a tool's schema lie deeper
  bool profile_used_ = false;
  std::string unused_;
  std::vector<std::vector<Member>> spare_;
};

std::string_view FormWriter::decoded(uint32_t node, std::string& storage) const {
  const JsonNode& string = tape_[node];
  if (!string.escaped) return text_.substr(string.begin + 1, string.size - 2);
  storage = tape_.decoded(text_, node);
  return storage;
}

std::string_view FormWriter::text_at(uint32_t object, std::string_view key, std::string& storage) const {
  const uint32_t node = tape_.find(text_, object, key);
  return node != llm::Tape::kNone && tape_[node].type == JsonType::kString ? decoded(node, storage)
                                                                           : std::string_view();
}

// The parts that are large and come again: they stand in the form as digests.
bool FormWriter::is_part() const {
  if (path_.size() == 1)
    return path_[0] == "tools" || path_[0] == "system" || path_[0] == "instructions" ||
           path_[0] == "systemInstruction";
  return path_.size() == 2 && path_[1] == "[]" &&
         (path_[0] == "messages" || path_[0] == "input" || path_[0] == "contents");
}

void FormWriter::part(uint32_t node, uint32_t parent) {
  part_ = node;
  const std::string_view raw = tape_.raw(text_, node);
  const bool whole = elided_ < node || elided_ >= tape_[node].next;
  const bool worth = known_ != nullptr && whole && raw.size() >= kKnownPartBytes;
  const base::Hash128 key = worth ? known_->hash(path_[0], rules_, scope_, raw) : base::Hash128();
  const auto found = worth ? known_->find(key) : nullptr;
  const size_t begin = out_.size();
  PartDigests::Digest digest;
  if (found) {
    digest = *found;
  } else {
    const size_t links_before = link_uses_;
    const bool used_before = std::exchange(profile_used_, false);
    plain_value(node, parent);
    digest = {.sha256 = base::sha256(std::string_view(out_).substr(begin)), .profile_used = profile_used_};
    profile_used_ = used_before;
    // The number of an id depends on what stands before, so such a part is not the same elsewhere.
    if (worth && link_uses_ == links_before) known_->insert(key, digest);
  }
  profile_used_ = profile_used_ || digest.profile_used;
  seal(begin, digest.sha256);
}

// The digest in place of what was written since `begin`.
void FormWriter::seal(size_t begin, const base::Digest& digest) {
  out_.resize(begin);
  out_ += '^';
  out_ += base::hex(digest);
}

void FormWriter::plain_value(uint32_t node, uint32_t parent) {
  switch (tape_[node].type) {
    case JsonType::kObject: return object(node);
    case JsonType::kArray: return array(node);
    case JsonType::kString: return text_value(node, parent);
    case JsonType::kNumber:
      out_ += '#';
      append_canonical_number(out_, tape_.raw(text_, node));
      out_ += ';';
      return;
    case JsonType::kTrue: out_ += 't'; return;
    case JsonType::kFalse: out_ += 'f'; return;
    case JsonType::kNull: out_ += 'n'; return;
  }
}

// Members in the order of their names' bytes. Two members of one name both stay, in the order of the text: providers
// differ in which one they take.
void FormWriter::object(uint32_t node) {
  std::vector<Member> members = take_spare();
  std::vector<std::unique_ptr<std::string>> storage;  // of names written with escapes
  uint32_t at = node + 1;
  for (uint32_t i = 0; i < tape_[node].children; ++i) {
    members.push_back(
        {decoded(at, tape_[at].escaped ? *storage.emplace_back(std::make_unique<std::string>()) : unused_), at + 1});
    at = tape_[at + 1].next;
  }
  const auto before = [](const Member& a, const Member& b) { return a.key < b.key; };
  if (!std::is_sorted(members.begin(), members.end(), before))
    std::stable_sort(members.begin(), members.end(), before);
  out_ += '{';
  for (const Member& member : members) {
    path_.push_back(member.key);
    if (!ignored(node, member.value)) {
      string(member.key);
      value(member.value, node);
    }
    path_.pop_back();
  }
  out_ += '}';
  spare_.push_back(std::move(members));
}

// Lists of members are used again: an object of a schema holds few, and there are many.
std::vector<FormWriter::Member> FormWriter::take_spare() {
  if (spare_.empty()) return {};
  std::vector<Member> out = std::move(spare_.back());
  spare_.pop_back();
  out.clear();
  return out;
}

void FormWriter::array(uint32_t node) {
  out_ += '[';
  path_.emplace_back("[]");
  uint32_t at = node + 1;
  for (uint32_t i = 0; i < tape_[node].children; ++i) {
    value(at, node);
    at = tape_[at].next;
  }
  path_.pop_back();
  out_ += ']';
}

bool FormWriter::ignored(uint32_t parent, uint32_t node) {
  // {"stream_options":{"include_usage":true}} says no more than no stream_options.
  if (path_.size() == 1 && path_[0] == "stream_options") {
    if (tape_[node].type == JsonType::kNull) return true;
    if (tape_[node].type != JsonType::kObject) return false;
    uint32_t at = node + 1;
    for (uint32_t i = 0; i < tape_[node].children; ++i, at = tape_[at + 1].next) {
      std::string storage;
      const std::string_view key = decoded(at, storage);
      if (key != "include_usage" && key != "include_obfuscation") return false;
    }
    return true;
  }
  if (path_.size() <= deepest_ignored_ && at_any(generic_.ignore)) return true;
  std::string storage;
  if (dialect_ == Dialect::kOpenAiResponses && path_.size() == 3 && path_[0] == "input" && path_[1] == "[]") {
    // An input item without "type" is a message.
    if (path_[2] == "type" && tape_[node].type == JsonType::kString && decoded(node, storage) == "message")
      return true;
    if (path_[2] == "id" && !says_itself(parent)) return false;
  }
  if (&profile_ == &generic_ || !at_any(profile_.ignore)) return false;
  profile_used_ = true;
  return true;
}

// An input item that brings its content. Of any other (item_reference, or no type at all; reasoning whose text the
// provider keeps) the id is all that tells what the model reads.
bool FormWriter::says_itself(uint32_t item) const {
  std::string storage;
  const bool reasons = text_at(item, "type", storage) == "reasoning";
  for (const std::string_view name : {"encrypted_content", "content", "output", "arguments", "input", "action"}) {
    if (reasons && name != "encrypted_content") break;
    const uint32_t node = tape_.find(text_, item, name);
    if (node != llm::Tape::kNone && tape_[node].type != JsonType::kNull) return true;
  }
  return false;
}

// What providers and agents make. A longer or freer text could tell a model something, where its template shows ids.
bool is_id(std::string_view text) {
  constexpr size_t kMaxIdBytes = 128;
  return text.size() <= kMaxIdBytes && std::ranges::all_of(text, [](char c) {
           return base::is_alphanumeric(c) || std::string_view("-_.:|/+=").find(c) != std::string_view::npos;
         });
}

void FormWriter::link(std::string_view id) {
  ++link_uses_;
  const size_t position = links_.try_emplace(std::string(id), links_.size()).first->second;
  out_ += '@';
  number(position);
  out_ += ';';
}

void FormWriter::text_part(std::string_view type, std::string_view decoded) {
  out_ += '{';
  string("text");
  string(decoded);
  string("type");
  string(type);
  out_ += '}';
}

void FormWriter::text_value(uint32_t node, uint32_t parent) {
  std::string storage;
  std::string_view text = node == elided_ ? std::string_view() : decoded(node, storage);
  if (at_any(shapes_.links) && is_id(text)) return link(text);
  std::string masked(profile_.masks.empty() ? std::string_view() : text);
  if (!masked.empty() && mask(masked)) text = masked;
  if (dialect_ == Dialect::kOpenAiResponses && path_.size() == 1 && path_[0] == "input") {
    out_ += '[';
    const size_t begin = out_.size();
    out_ += '{';
    string("content");
    out_ += '[';
    text_part("input_text", text);
    out_ += ']';
    string("role");
    string("user");
    out_ += '}';
    seal(begin, base::sha256(std::string_view(out_).substr(begin)));
    out_ += ']';
  } else if (at_any(shapes_.texts)) {
    std::string_view type = "text";
    std::string role;
    if (dialect_ == Dialect::kOpenAiResponses)
      type = text_at(parent, "role", role) == "assistant" ? "output_text" : "input_text";
    out_ += '[';
    text_part(type, text);
    out_ += ']';
  } else {
    string(text);
  }
}

// Where the line that begins with `line` stands; the end of the text when none does.
size_t line_at(std::string_view text, std::string_view line) {
  for (size_t at = text.find(line); at != std::string_view::npos; at = text.find(line, at + 1))
    if (at == 0 || text[at - 1] == '\n') return at;
  return text.size();
}

constexpr size_t kMaxMaskedBytes = 40;  // longer ones may say something

// A masked run becomes one NUL: no text of a person holds it.
bool apply(const Profile::Mask& rule, std::string& text) {
  if (!text.starts_with(rule.begins)) return false;
  bool changed = false;
  for (size_t at = text.find(rule.after); at != std::string::npos; at = text.find(rule.after, at + 1)) {
    if (!rule.anywhere && at != 0 && text[at - 1] != '\n') continue;
    if (!rule.ahead_of.empty() && at >= line_at(text, rule.ahead_of)) break;
    const size_t begin = at + rule.after.size();
    const size_t end = std::min(text.find_first_not_of(rule.characters, begin), text.size());
    if (end == begin || end - begin > kMaxMaskedBytes) continue;
    if (rule.ends && std::string_view(text).substr(end) != *rule.ends) continue;
    text.replace(begin, end - begin, 1, '\0');
    changed = true;
  }
  return changed;
}

bool FormWriter::mask(std::string& decoded) {
  bool changed = false;
  for (const Profile::Mask& rule : profile_.masks) {
    if (!at(rule.path)) continue;
    std::string role;
    if (path_[0] == "messages" && text_at(part_, "role", role) != "tool") continue;
    changed = apply(rule, decoded) || changed;
  }
  profile_used_ = profile_used_ || changed;
  return changed;
}

}  // namespace

std::string canonical_form(const llm::Request& request, const Profiles& profiles, const Profile& profile,
                           PartDigests* known, uint32_t elided, std::string_view scope) {
  return FormWriter(request, profiles.generic(), profile, known, elided, scope).write();
}

}  // namespace payonce::identity
