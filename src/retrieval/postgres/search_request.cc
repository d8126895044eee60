#include "retrieval/postgres/search_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <utility>

namespace payonce::retrieval {
namespace {

namespace json = boost::json;

constexpr size_t kMaxIdentifierBytes = 63;  // PostgreSQL's own limit
constexpr size_t kMaxDimensions = 16'000;   // pgvector's own limit
constexpr size_t kMaxFilters = 32;
constexpr int kMaxLimit = 1000;

base::Status wrong(std::string_view field, std::string_view wanted) {
  return base::fail(base::Code::kInvalid, fmt::format("{}: expected {}", field, wanted));
}

bool is_identifier(std::string_view text) {
  return !text.empty() && text.size() <= kMaxIdentifierBytes && text.find('\0') == std::string_view::npos;
}

std::string quoted(std::string_view identifier) {
  std::string out = "\"";
  for (const char c : identifier) out.append(c == '"' ? "\"" : "").push_back(c);
  return out + '"';
}

base::Status read_table(const json::value& value, SearchRequest& out) {
  if (!value.is_string()) return wrong("collection", "a text: a table's name, or schema.table");
  const std::string name(value.get_string());
  const size_t dot = name.find('.');
  out.table = {name.substr(0, dot)};
  if (dot != std::string::npos) out.table.push_back(name.substr(dot + 1));
  if (!std::ranges::all_of(out.table, is_identifier)) return wrong("collection", "a table's name, or schema.table");
  return {};
}

base::Status read_vector(const json::value& value, SearchRequest& out) {
  constexpr std::string_view kWanted = "an array of 1 to 16000 finite numbers";
  if (!value.is_array() || value.get_array().empty() || value.get_array().size() > kMaxDimensions)
    return wrong("vector", kWanted);
  for (const json::value& number : value.get_array()) {
    const double v = number.is_number() ? number.to_number<double>() : std::nan("");
    if (!std::isfinite(static_cast<float>(v))) return wrong("vector", kWanted);
    out.vector.push_back(static_cast<float>(v));
  }
  return {};
}

base::Status read_filter(const json::value& value, SearchRequest& out) {
  if (!value.is_object() || value.get_object().size() > kMaxFilters)
    return wrong("filter", "an object of at most 32 columns");
  for (const auto& [column, wanted] : value.get_object()) {
    if (!is_identifier(column)) return wrong("filter", "names of columns");
    if (wanted.is_structured()) return wrong("filter", "a text, a number, true, false or null for each column");
    SearchRequest::Filter filter{.column = std::string(column)};
    if (wanted.is_string())
      filter.value = std::string(wanted.get_string());
    else if (!wanted.is_null())
      filter.value = json::serialize(wanted);
    if (filter.value && filter.value->find('\0') != std::string::npos) return wrong("filter", "texts without NUL");
    out.filters.push_back(std::move(filter));
  }
  return {};
}

base::Status read_field(std::string_view name, const json::value& value, SearchRequest& out) {
  if (name == "collection") return read_table(value, out);
  if (name == "vector") return read_vector(value, out);
  if (name == "filter") return read_filter(value, out);
  if (name == "text") {
    if (!value.is_string() || value.get_string().empty()) return wrong("text", "a text that is not empty");
    out.text = std::string(value.get_string());
  } else if (name == "limit") {
    if (!value.is_int64() || value.get_int64() < 1 || value.get_int64() > kMaxLimit)
      return wrong("limit", "a whole number from 1 to 1000");
    out.limit = static_cast<int>(value.get_int64());
  } else if (name == "with_vector") {
    if (!value.is_bool()) return wrong("with_vector", "true or false");
    out.with_vector = value.get_bool();
  } else {
    return wrong(name, "no such field; known: collection, vector, text, limit, filter, with_vector");
  }
  return {};
}

}  // namespace

base::Result<SearchRequest> SearchRequest::parse(std::string_view body) {
  boost::system::error_code error;
  const json::value value = json::parse(body, error);
  if (error || !value.is_object())
    return base::fail(base::Code::kInvalid, "expected a JSON object with collection and vector or text");
  SearchRequest out;
  for (const auto& [name, field] : value.get_object()) PAYONCE_CHECK_OK(read_field(name, field, out));
  if (out.table.empty()) PAYONCE_CHECK_OK(wrong("collection", "a table's name"));
  if (out.vector.empty() == out.text.empty()) PAYONCE_CHECK_OK(wrong("vector", "either vector or text"));
  return out;
}

Statement to_sql(const SearchRequest& request, const std::string& vector_column, Distance distance) {
  const std::string_view op = distance == Distance::kCosine ? "<=>" : distance == Distance::kL2 ? "<->" : "<#>";
  const std::string column = "t." + quoted(vector_column);
  std::string table = quoted(request.table.front());
  if (request.table.size() > 1) table += "." + quoted(request.table[1]);
  Statement out;
  std::string vector = "[";
  for (const float value : request.vector) vector += fmt::format("{}{}", vector.size() == 1 ? "" : ",", value);
  out.parameters = {vector + "]", vector_column};
  std::string where;
  for (const SearchRequest::Filter& filter : request.filters) {
    where += fmt::format("{} t.{}", where.empty() ? " WHERE" : " AND", quoted(filter.column));
    if (!filter.value) {
      where += " IS NULL";
      continue;
    }
    out.parameters.push_back(*filter.value);
    where += fmt::format(" = ${}", out.parameters.size());
  }
  // $2 is used in both forms, so that its number stays the same.
  out.sql = fmt::format(
      "SELECT (to_jsonb(t) - CASE WHEN {} THEN '' ELSE $2::text END) || "
      "jsonb_build_object('distance', {} {} $1::vector) FROM {} t{} ORDER BY {} {} $1::vector LIMIT {}",
      request.with_vector ? "true" : "false", column, op, table, where, column, op, request.limit);
  return out;
}

}  // namespace payonce::retrieval
