#include "embed/api/embeddings_request.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "engine/api/json_fields.h"

namespace payonce::embed {
namespace {
namespace json = boost::json;
using engine::Fields;

constexpr size_t kMaxInputs = 2048;  // as OpenAI
constexpr size_t kMaxDepth = 16;

base::Error invalid(std::string message) { return {base::Code::kInvalid, std::move(message)}; }

void add_text(Fields& fields, const json::value& value, const std::string& name, std::vector<std::string>& out) {
  if (value.is_number() || value.is_array()) {
    return fields.refuse(invalid(fmt::format(
        "'{}' holds token numbers; they belong to another model's vocabulary: send the text itself", name)));
  }
  if (!value.is_string()) {
    return fields.refuse(invalid(fmt::format("'{}' must be a string, found {}", name, engine::describe(value))));
  }
  if (value.get_string().empty()) return fields.refuse(invalid(fmt::format("'{}' is empty", name)));
  out.emplace_back(value.get_string());
}

void read_inputs(Fields& fields, std::vector<std::string>& out) {
  const json::value* input = fields.any("input");
  if (input == nullptr) return fields.refuse(invalid("'input' is missing; expected a string or an array of strings"));
  if (!input->is_array()) return add_text(fields, *input, "input", out);
  const json::array& texts = input->get_array();
  if (texts.empty()) return fields.refuse(invalid("'input' is an empty array"));
  if (texts.size() > kMaxInputs) {
    return fields.refuse(
        invalid(fmt::format("'input' has {} texts, at most {} go at once", texts.size(), kMaxInputs)));
  }
  for (size_t i = 0; i < texts.size() && fields.ok(); ++i) {
    add_text(fields, texts[i], fmt::format("input[{}]", i), out);
  }
}

}  // namespace

base::Result<EmbeddingsRequest> read_embeddings_request(std::string_view body, int32_t dimensions) {
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = kMaxDepth;
  const json::value value = json::parse(body, error, {}, options);
  if (error) return base::fail(invalid(fmt::format("the body is no JSON that can be read: {}", error.message())));
  if (!value.is_object()) return base::fail(invalid("the body must be a JSON object"));
  Fields fields(value.get_object());
  EmbeddingsRequest out;
  fields.text("model");
  read_inputs(fields, out.inputs);
  out.dimensions = static_cast<int32_t>(fields.integer("dimensions", 1, dimensions).value_or(dimensions));
  const std::string format = fields.text("encoding_format").value_or("float");
  if (format != "float" && format != "base64") {
    fields.refuse(invalid(fmt::format("'encoding_format' must be \"float\" or \"base64\", found \"{}\"", format)));
  }
  out.base64 = format == "base64";
  PAYONCE_CHECK_OK(fields.status());
  return out;
}

}  // namespace payonce::embed
