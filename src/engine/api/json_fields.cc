#include "engine/api/json_fields.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <cmath>
#include <limits>
#include <utility>

namespace payonce::engine {
namespace json = boost::json;

std::string describe(const json::value& value) {
  switch (value.kind()) {
    case json::kind::object: return "an object";
    case json::kind::array: return "an array";
    case json::kind::string: return "a string";
    default: return json::serialize(value);
  }
}

std::optional<int64_t> whole_number(const json::value& value) {
  if (value.is_int64()) return value.get_int64();
  if (value.is_uint64() && value.get_uint64() <= uint64_t{std::numeric_limits<int64_t>::max()})
    return static_cast<int64_t>(value.get_uint64());
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (value.is_double() && std::abs(value.get_double()) <= kExact &&
      std::trunc(value.get_double()) == value.get_double())
    return static_cast<int64_t>(value.get_double());
  return std::nullopt;
}

const json::value* Fields::any(std::string_view name) const {
  const json::value* found = object_.if_contains(name);
  return found == nullptr || found->is_null() ? nullptr : found;
}

std::string Fields::path(std::string_view name) const {
  if (path_.empty()) return std::string(name);
  return name.empty() ? path_ : fmt::format("{}.{}", path_, name);
}

void Fields::refuse(base::Error error) {
  if (!problem_) problem_ = std::move(error);
}

void Fields::refuse(std::string_view name, std::string_view what) {
  refuse(base::Error{base::Code::kInvalid, fmt::format("'{}' {}", path(name), what)});
}

void Fields::expected(std::string_view name, std::string_view what, const json::value& found) {
  refuse(name, fmt::format("must be {}, but is {}", what, describe(found)));
}

std::optional<double> Fields::number(std::string_view name, double low, double high) {
  const json::value* found = any(name);
  if (found == nullptr) return std::nullopt;
  boost::system::error_code error;
  const double value = found->is_number() ? found->to_number<double>(error) : 0;
  if (found->is_number() && !error && value >= low && value <= high) return value;
  expected(name, fmt::format("a number from {} to {}", low, high), *found);
  return std::nullopt;
}

std::optional<int64_t> Fields::integer(std::string_view name, int64_t low, int64_t high) {
  const json::value* found = any(name);
  if (found == nullptr) return std::nullopt;
  if (const auto value = whole_number(*found); value && *value >= low && *value <= high) return value;
  expected(name, fmt::format("an integer from {} to {}", low, high), *found);
  return std::nullopt;
}

std::optional<bool> Fields::boolean(std::string_view name) {
  const json::value* found = any(name);
  if (found == nullptr) return std::nullopt;
  if (found->is_bool()) return found->get_bool();
  expected(name, "true or false", *found);
  return std::nullopt;
}

std::optional<std::string> Fields::text(std::string_view name) {
  const json::value* found = any(name);
  if (found == nullptr) return std::nullopt;
  if (found->is_string()) return std::string(found->get_string());
  expected(name, "a string", *found);
  return std::nullopt;
}

const json::object* Fields::object(std::string_view name) {
  const json::value* found = any(name);
  if (found == nullptr) return nullptr;
  if (found->is_object()) return &found->get_object();
  expected(name, "an object", *found);
  return nullptr;
}

const json::array* Fields::array(std::string_view name) {
  const json::value* found = any(name);
  if (found == nullptr) return nullptr;
  if (found->is_array()) return &found->get_array();
  expected(name, "an array", *found);
  return nullptr;
}

}  // namespace payonce::engine
