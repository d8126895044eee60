#include "retrieval/canonical_json.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "identity/canonical_number.h"

namespace payonce::retrieval {
namespace {

using llm::JsonType;

class Writer {
 public:
  Writer(const JsonView& view, uint32_t elided) : view_(view), elided_(elided) {}
  std::string take() { return std::move(out_); }

  void value(uint32_t node) {
    if (node == elided_) {
      out_ += '?';
      return;
    }
    switch (view_.tape()[node].type) {
      case JsonType::kObject: return object(node);
      case JsonType::kArray: return array(node);
      case JsonType::kString: return string(view_.string(node));
      case JsonType::kNumber:
        out_ += '#';
        identity::append_canonical_number(out_, view_.tape().raw(view_.text(), node));
        out_ += ';';
        return;
      case JsonType::kTrue: out_ += 't'; return;
      case JsonType::kFalse: out_ += 'f'; return;
      case JsonType::kNull: out_ += 'n'; return;
    }
  }

 private:
  // The length in front, so that no text can pretend to be two.
  void string(const std::string& decoded) {
    out_.append("\"").append(std::to_string(decoded.size())).append(":") += decoded;
  }
  void object(uint32_t node) {
    std::vector<std::pair<std::string, uint32_t>> members;
    uint32_t at = node + 1;
    for (uint32_t i = 0; i < view_.tape()[node].children; ++i, at = view_.tape()[at + 1].next)
      members.emplace_back(view_.string(at), at + 1);
    std::stable_sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    out_ += '{';
    for (const auto& [name, child] : members) {
      string(name);
      value(child);
    }
    out_ += '}';
  }
  void array(uint32_t node) {
    out_ += '[';
    uint32_t at = node + 1;
    for (uint32_t i = 0; i < view_.tape()[node].children; ++i, at = view_.tape()[at].next) value(at);
    out_ += ']';
  }

  const JsonView& view_;
  const uint32_t elided_;
  std::string out_;
};

}  // namespace

std::string canonical_json(const JsonView& view, uint32_t node, uint32_t elided) {
  Writer writer(view, elided);
  writer.value(node);
  return writer.take();
}

}  // namespace payonce::retrieval
