#include "retrieval/result_list.h"

#include <array>
#include <boost/json.hpp>
#include <utility>

namespace payonce::retrieval {
namespace {

namespace json = boost::json;

constexpr std::array<std::string_view, 6> kColumns = {"ids",       "embeddings", "documents",
                                                      "metadatas", "distances",  "uris"};

std::vector<float> floats(const json::value* value) {
  std::vector<float> out;
  if (value == nullptr || !value->is_array()) return out;
  for (const json::value& number : value->get_array()) {
    if (!number.is_number()) return {};
    out.push_back(number.to_number<float>());
  }
  return out;
}

// The array of points: "result" itself, or "points" in it.
json::array* points_of(json::value& frame) {
  json::value* result = frame.is_object() ? frame.get_object().if_contains("result") : nullptr;
  if (result != nullptr && result->is_object()) result = result->get_object().if_contains("points");
  return result != nullptr && result->is_array() ? &result->get_array() : nullptr;
}

// The one list of a column of a Chroma answer to one query; null: absent or null.
json::array* column_of(json::value& frame, std::string_view name) {
  json::value* column = frame.is_object() ? frame.get_object().if_contains(name) : nullptr;
  if (column == nullptr || !column->is_array() || column->get_array().size() != 1) return nullptr;
  json::value& only = column->get_array().front();
  return only.is_array() ? &only.get_array() : nullptr;
}

bool take_qdrant(ResultList& out) {
  json::array* points = points_of(out.frame);
  if (points == nullptr) return false;
  for (json::value& point : *points) {
    if (!point.is_object()) return false;
    const json::object& fields = point.get_object();
    const json::value *id = fields.if_contains("id"), *score = fields.if_contains("score");
    if (id == nullptr || score == nullptr || !score->is_number()) return false;
    out.rows.push_back({.id = json::serialize(*id),
                        .score = score->to_number<double>(),
                        .vector = floats(fields.if_contains("vector")),
                        .row = std::move(point)});
  }
  points->clear();
  return true;
}

bool take_chroma(ResultList& out) {
  const json::array *ids = column_of(out.frame, "ids"), *distances = column_of(out.frame, "distances");
  if (ids == nullptr || distances == nullptr || ids->size() != distances->size()) return false;
  for (size_t i = 0; i < ids->size(); ++i) {
    if (!(*distances)[i].is_number()) return false;
    json::object row;
    for (const std::string_view name : kColumns) {
      const json::array* column = column_of(out.frame, name);
      if (column == nullptr) continue;
      if (column->size() != ids->size()) return false;
      row[name] = (*column)[i];
    }
    out.rows.push_back({.id = json::serialize((*ids)[i]),
                        .score = (*distances)[i].to_number<double>(),
                        .vector = floats(row.if_contains("embeddings")),
                        .row = std::move(row)});
  }
  for (const std::string_view name : kColumns)
    if (json::array* column = column_of(out.frame, name)) column->clear();
  return true;
}

std::optional<ResultList> take(StoreKind kind, std::string_view body) {
  try {
    ResultList out{.frame = json::parse(body)};
    const bool taken = kind == StoreKind::kQdrant   ? take_qdrant(out)
                       : kind == StoreKind::kChroma ? take_chroma(out)
                                                    : false;
    if (taken) return out;
  } catch (const std::exception&) {  // no JSON, or a number out of range
  }
  return std::nullopt;
}

}  // namespace

std::optional<ResultList> parse_list(StoreKind kind, std::string_view body) {
  auto out = take(kind, body);
  if (!out) return std::nullopt;
  for (const ResultRow& row : out->rows)
    if (row.vector.empty()) return std::nullopt;
  return out;
}

std::vector<std::string> ids_of(StoreKind kind, std::string_view body) {
  std::vector<std::string> out;
  const auto list = take(kind, body);
  if (!list) return out;
  for (const ResultRow& row : list->rows) out.push_back(row.id);
  return out;
}

std::string render_list(StoreKind kind, json::value frame, std::span<const ResultRow> rows) {
  for (const ResultRow& row : rows) {
    json::value one = row.row;
    one.as_object()[kind == StoreKind::kQdrant ? "score" : "distances"] = row.score;
    if (kind == StoreKind::kQdrant) {
      if (json::array* points = points_of(frame)) points->push_back(std::move(one));
      continue;
    }
    for (auto& [name, value] : one.as_object())
      if (json::array* column = column_of(frame, name)) column->push_back(value);
  }
  return json::serialize(frame);
}

}  // namespace payonce::retrieval
