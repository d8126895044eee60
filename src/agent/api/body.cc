#include "agent/api/body.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace payonce::agent {

using llm::JsonType;
using llm::JsonView;

Body::Body(const JsonView& view, uint32_t node, std::string where, std::initializer_list<std::string_view> known)
    : view_(view), node_(node), where_(std::move(where)) {
  if (!view.is(node, JsonType::kObject)) fail("", "expected an object");
  uint32_t at = node + 1;
  for (size_t i = 0; i < view.children(node); ++i, at = view.tape()[at + 1].next) {
    const std::string name = view.string(at);
    if (std::find(known.begin(), known.end(), name) == known.end())
      fail(name.substr(0, 60), fmt::format("unknown field; known: {}", fmt::join(known, ", ")));
  }
}

std::string Body::place(std::string_view name) const {
  return where_.empty() ? std::string(name) : name.empty() ? where_ : fmt::format("{}.{}", where_, name);
}

void Body::fail(std::string_view name, std::string_view what) {
  const std::string at = place(name);
  keep({base::Code::kInvalid, at.empty() ? std::string(what) : fmt::format("{}: {}", at, what)});
}

void Body::keep(base::Error error) {
  if (status_) status_ = base::fail(std::move(error));
}

std::string Body::text(std::string_view name) {
  const uint32_t at = member(name);
  if (at == JsonView::kNone || view_.is(at, JsonType::kNull)) return {};
  if (!view_.is(at, JsonType::kString)) fail(name, "expected a string");
  return view_.string(at);
}

std::string Body::required_text(std::string_view name) {
  std::string out = text(name);
  if (out.empty()) fail(name, has(name) ? "expected a string that is not empty" : "missing");
  return out;
}

bool Body::boolean(std::string_view name, bool otherwise) {
  const uint32_t at = member(name);
  if (at == JsonView::kNone) return otherwise;
  if (!view_.is(at, JsonType::kTrue) && !view_.is(at, JsonType::kFalse)) fail(name, "expected true or false");
  return view_.is(at, JsonType::kTrue);
}

std::optional<double> Body::number(std::string_view name, double least, double most) {
  const uint32_t at = member(name);
  if (at == JsonView::kNone || view_.is(at, JsonType::kNull)) return std::nullopt;
  const auto value = view_.number(at);
  if (!value || *value < least || *value > most) {
    fail(name, fmt::format("expected a number from {} to {}", least, most));
    return std::nullopt;
  }
  return value;
}

uint32_t Body::array(std::string_view name) { return of_type(name, JsonType::kArray, "expected an array"); }

uint32_t Body::object(std::string_view name) { return of_type(name, JsonType::kObject, "expected an object"); }

uint32_t Body::of_type(std::string_view name, JsonType type, std::string_view expected) {
  const uint32_t at = member(name);
  if (at == JsonView::kNone || view_.is(at, JsonType::kNull)) return JsonView::kNone;
  if (!view_.is(at, type)) fail(name, expected);
  return at;
}

}  // namespace payonce::agent
