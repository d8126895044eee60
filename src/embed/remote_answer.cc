#include "embed/remote_answer.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <cmath>
#include <numeric>

#include "embed/base64.h"
#include "embed/vector.h"

namespace payonce::embed {
namespace {
namespace json = boost::json;

constexpr size_t kMaxQuoted_bytes = 300;

auto corrupt(std::string what) {
  return base::fail(base::Code::kCorrupt, "the embedder's answer cannot be read: " + std::move(what));
}

// Numbers as JSON, or as base64 of F32.
base::Result<std::vector<float>> read_vector(const json::value& value) {
  if (value.is_string()) {
    auto read = floats_of_base64(value.get_string());
    if (!read) return corrupt(read.error().message);
    return read;
  }
  if (!value.is_array()) return corrupt("'embedding' is neither an array nor base64");
  std::vector<float> out;
  out.reserve(value.get_array().size());
  for (const json::value& each : value.get_array()) {
    boost::system::error_code error;
    out.push_back(static_cast<float>(each.to_number<double>(error)));
    if (error) return corrupt("'embedding' holds what is no number");
  }
  return out;
}

void share_tokens(const json::object& answer, const std::vector<std::string_view>& texts,
                  std::vector<Embedding>& out) {
  const json::value* usage = answer.if_contains("usage");
  const json::value* count = usage && usage->is_object() ? usage->get_object().if_contains("prompt_tokens") : nullptr;
  if (!count || !count->is_int64() || count->get_int64() < 0 || count->get_int64() > INT32_MAX) return;
  const auto total = static_cast<double>(count->get_int64());
  const size_t bytes = std::accumulate(texts.begin(), texts.end(), size_t{0},
                                       [](size_t sum, std::string_view text) { return sum + text.size(); });
  int32_t given = 0;
  size_t seen = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    seen += texts[i].size();
    const double share = total * static_cast<double>(seen) / static_cast<double>(std::max<size_t>(bytes, 1));
    out[i].tokens = static_cast<int32_t>(std::lround(share)) - given;
    given += out[i].tokens;
  }
}

}  // namespace

base::Result<std::vector<Embedding>> read_embeddings_answer(std::string_view body,
                                                            const std::vector<std::string_view>& texts,
                                                            int32_t dimensions) {
  boost::system::error_code error;
  const json::value value = json::parse(body, error);
  if (error || !value.is_object()) return corrupt("no JSON object");
  const json::value* data = value.get_object().if_contains("data");
  if (!data || !data->is_array() || data->get_array().size() != texts.size()) {
    return corrupt(fmt::format("expected {} vectors in 'data'", texts.size()));
  }
  std::vector<Embedding> out(texts.size());
  size_t place = 0;
  for (const json::value& item : data->get_array()) {
    const json::object* object = item.if_object();
    const json::value* vector = object ? object->if_contains("embedding") : nullptr;
    if (!vector) return corrupt("an item of 'data' has no 'embedding'");
    const json::value* index = object->if_contains("index");
    const size_t at = index && index->is_int64() ? static_cast<size_t>(index->get_int64()) : place;
    ++place;
    if (at >= out.size() || !out[at].vector.empty()) return corrupt("the items' 'index' is not that of the texts");
    PAYONCE_TRY(out[at].vector, read_vector(*vector));
    if (out[at].vector.size() < static_cast<size_t>(dimensions)) {
      return corrupt(fmt::format("{} dimensions, expected {} or more (semantic.embedder_dimensions)",
                                 out[at].vector.size(), dimensions));
    }
    if (!truncate(out[at].vector, dimensions)) return corrupt("a vector without a direction");
  }
  share_tokens(value.get_object(), texts, out);
  return out;
}

base::Error error_of_answer(int status, std::string_view body) {
  std::string said(body.substr(0, kMaxQuoted_bytes));
  boost::system::error_code error;
  if (const json::value value = json::parse(body, error); !error && value.is_object()) {
    const json::value* inner = value.get_object().if_contains("error");
    const json::value* message = inner && inner->is_object() ? inner->get_object().if_contains("message") : nullptr;
    if (message && message->is_string()) said = std::string(message->get_string()).substr(0, kMaxQuoted_bytes);
  }
  const auto code = [&] {
    switch (status) {
      case 400:
      case 422: return base::Code::kInvalid;
      case 401: return base::Code::kUnauthorized;
      case 403: return base::Code::kForbidden;
      case 413: return base::Code::kTooLarge;
      case 429: return base::Code::kExhausted;
      default: return base::Code::kUnavailable;
    }
  };
  return {code(), fmt::format("the embedder answered {}: {}", status, said)};
}

}  // namespace payonce::embed
