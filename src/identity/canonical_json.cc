#include "identity/canonical_json.h"

#include <algorithm>
#include <charconv>
#include <deque>
#include <utility>
#include <vector>

#include "identity/canonical_number.h"

namespace payonce::identity {
namespace {

using llm::JsonType;

class JsonWriter {
 public:
  JsonWriter(const llm::Tape& tape, std::string_view text, uint32_t elided, std::string& out)
      : tape_(tape), text_(text), elided_(elided), out_(out) {}

  void value(uint32_t node) {
    if (node == elided_) {
      out_ += '?';
      return;
    }
    switch (tape_[node].type) {
      case JsonType::kObject: return object(node);
      case JsonType::kArray: return array(node);
      case JsonType::kString: {
        std::string storage;
        return string(decoded(node, storage));
      }
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

 private:
  using Members = std::vector<std::pair<std::string_view, uint32_t>>;

  std::string_view decoded(uint32_t node, std::string& storage) const {
    if (!tape_[node].escaped) return text_.substr(tape_[node].begin + 1, tape_[node].size - 2);
    storage = tape_.decoded(text_, node);
    return storage;
  }
  // The length in front, so that no text can pretend to be two.
  void string(std::string_view decoded) {
    char digits[20];
    out_ += '"';
    out_.append(digits, std::to_chars(digits, digits + sizeof digits, decoded.size()).ptr);
    out_ += ':';
    out_ += decoded;
  }
  void object(uint32_t node) {
    Members members = spare_.empty() ? Members() : std::move(spare_.back());
    if (!spare_.empty()) spare_.pop_back();
    members.clear();
    std::deque<std::string> storage;  // of names written with escapes
    uint32_t at = node + 1;
    for (uint32_t i = 0; i < tape_[node].children; ++i, at = tape_[at + 1].next)
      members.emplace_back(tape_[at].escaped ? decoded(at, storage.emplace_back())
                                             : text_.substr(tape_[at].begin + 1, tape_[at].size - 2),
                           at + 1);
    const auto before = [](const auto& a, const auto& b) { return a.first < b.first; };
    if (!std::is_sorted(members.begin(), members.end(), before))
      std::stable_sort(members.begin(), members.end(), before);
    out_ += '{';
    for (const auto& [name, child] : members) {
      string(name);
      value(child);
    }
    out_ += '}';
    spare_.push_back(std::move(members));
  }
  void array(uint32_t node) {
    out_ += '[';
    uint32_t at = node + 1;
    for (uint32_t i = 0; i < tape_[node].children; ++i, at = tape_[at].next) value(at);
    out_ += ']';
  }

  const llm::Tape& tape_;
  const std::string_view text_;
  const uint32_t elided_;
  std::string& out_;
  std::vector<Members> spare_;  // used again: most objects of a schema are small, and there are many
};

}  // namespace

std::string canonical_json(const llm::Tape& tape, std::string_view text, uint32_t node, uint32_t elided) {
  std::string out;
  out.reserve(tape[node].size + tape[node].size / 8);
  JsonWriter(tape, text, elided, out).value(node);
  return out;
}

}  // namespace payonce::identity
