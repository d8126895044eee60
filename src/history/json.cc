#include "history/json.h"

#include <charconv>

namespace payonce::history {

double Json::number(double otherwise) const {
  const std::string_view spelt = is_string() ? word() : raw();
  double value = otherwise;
  const auto end = std::from_chars(spelt.data(), spelt.data() + spelt.size(), value);
  return end.ec == std::errc() ? value : otherwise;
}

int64_t Json::integer(int64_t otherwise) const {
  const std::string_view spelt = is_string() ? word() : raw();
  int64_t value = otherwise;
  const auto end = std::from_chars(spelt.data(), spelt.data() + spelt.size(), value);
  if (end.ec == std::errc() && end.ptr == spelt.data() + spelt.size()) return value;
  const double wide = number(static_cast<double>(otherwise));
  return wide > -9e15 && wide < 9e15 ? static_cast<int64_t>(wide) : otherwise;
}

bool Json::flag() const {
  if (type() == llm::JsonType::kTrue) return true;
  const std::string_view spelt = is_string() ? word() : std::string_view();
  return spelt == "true" || spelt == "True" || spelt == "TRUE" || spelt == "t" || spelt == "1" || spelt == "hit";
}

int64_t Json::time_ms() const {
  const std::string_view spelt = is_string() ? word() : is_object() || is_array() ? std::string_view() : raw();
  return parse_time_ms(spelt).value_or(0);
}

}  // namespace payonce::history
