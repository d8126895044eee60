#include "engine/api/tool_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "engine/api/cache_control.h"

namespace payonce::engine {
namespace {
namespace json = boost::json;

constexpr std::array<std::string_view, 4> kTextParts = {"text", "input_text", "output_text", "refusal"};

// Adds {"type":"function","function":{name, description, parameters, strict}}.
void add_tool(Fields& tool, const json::value* parameters, Conversation& out) {
  const auto name = tool.text("name");
  const auto description = tool.text("description");
  if (!tool.ok()) return;
  if (!name || name->empty()) return tool.refuse("name", "is missing");
  json::object function{{"name", *name}};
  if (description) function["description"] = *description;
  if (parameters != nullptr && !parameters->is_object()) return tool.refuse("", "needs a JSON schema as an object");
  function["parameters"] =
      parameters != nullptr ? *parameters : json::value{{"type", "object"}, {"properties", json::object()}};
  if (const auto strict = tool.boolean("strict")) function["strict"] = *strict;
  out.tools.push_back(json::object{{"type", "function"}, {"function", std::move(function)}});
}

// Calls read(tool) for each element of the list.
template <typename Read>
void for_each_object(Fields& fields, std::string_view name, Read&& read) {
  const json::array* list = fields.array(name);
  for (size_t i = 0; list != nullptr && i < list->size() && fields.ok(); ++i) {
    const std::string path = fmt::format("{}[{}]", fields.path(name), i);
    if (!(*list)[i].is_object())
      return fields.refuse(base::Error{base::Code::kInvalid,
                                       fmt::format("'{}' must be an object, but is {}", path, describe((*list)[i]))});
    Fields inner((*list)[i].get_object(), path);
    read(inner);
    if (!inner.ok()) fields.refuse(inner.status().error());
  }
}

// A function by its name, in either form.
void add_callable(Fields& choice, Conversation& out) {
  std::optional<std::string> name;
  if (const json::object* function = choice.object("function"))
    name = Fields(*function, choice.path("function")).text("name");
  else
    name = choice.text("name");
  if (!name) return choice.refuse("", "must name a function");
  out.callable.push_back(*name);
}

void set_mode(Fields& fields, std::string_view name, const std::string& mode, Conversation& out) {
  if (mode != "auto" && mode != "none" && mode != "required")
    fields.refuse(name,
                  fmt::format("must be \"auto\", \"none\", \"required\" or name a function, but is \"{}\"", mode));
  out.tool_choice = mode;
}

void read_openai_choice(Fields& fields, Conversation& out) {
  const json::value* choice = fields.any("tool_choice");
  if (choice == nullptr) return;
  if (choice->is_string()) return set_mode(fields, "tool_choice", std::string(choice->get_string()), out);
  const json::object* object = fields.object("tool_choice");
  if (object == nullptr) return;
  Fields inner(*object, "tool_choice");
  const std::string type = inner.text("type").value_or("");
  if (type == "function") {
    out.tool_choice = "required";
    add_callable(inner, out);
  } else if (type == "allowed_tools") {  // chat nests what responses have beside the type
    const json::object* nested = inner.object("allowed_tools");
    Fields allowed(nested != nullptr ? *nested : *object, "tool_choice");
    set_mode(allowed, "mode", allowed.text("mode").value_or("auto"), out);
    for_each_object(allowed, "tools", [&](Fields& tool) { add_callable(tool, out); });
    if (!allowed.ok()) fields.refuse(allowed.status().error());
  } else {
    inner.refuse("type", "must be \"function\" or \"allowed_tools\"");
  }
  if (!inner.ok()) fields.refuse(inner.status().error());
}

}  // namespace

void read_openai_tools(Fields& fields, Conversation& out) {
  for_each_object(fields, "tools", [&](Fields& tool) {
    if (tool.text("type") != "function")
      return tool.refuse("type", "must be \"function\": no other tools are served here");
    const auto ttl_s = read_cache_control(tool);
    if (const json::object* function = tool.object("function")) {
      Fields inner(*function, tool.path("function"));
      add_tool(inner, inner.any("parameters"), out);
      if (!inner.ok()) tool.refuse(inner.status().error());
    } else {
      add_tool(tool, tool.any("parameters"), out);
    }
    if (ttl_s) out.mark_tools(*ttl_s);
  });
  read_openai_choice(fields, out);
  out.parallel_tool_calls = fields.boolean("parallel_tool_calls").value_or(true);
}

void read_anthropic_tools(Fields& fields, Conversation& out) {
  for_each_object(fields, "tools", [&](Fields& tool) {
    if (const auto type = tool.text("type"); type && *type != "custom")
      return tool.refuse("type", fmt::format("is \"{}\": this model has no tools of the server's", *type));
    const auto ttl_s = read_cache_control(tool);
    if (!tool.has("input_schema")) tool.refuse("input_schema", "is missing");
    add_tool(tool, tool.any("input_schema"), out);
    if (ttl_s) out.mark_tools(*ttl_s);
  });
  const json::object* choice = fields.object("tool_choice");
  if (choice == nullptr) return;
  Fields inner(*choice, "tool_choice");
  const std::string type = inner.text("type").value_or("");
  out.parallel_tool_calls = !inner.boolean("disable_parallel_tool_use").value_or(false);
  if (type == "any" || type == "tool") {
    out.tool_choice = "required";
    if (type == "tool") add_callable(inner, out);
  } else if (type == "auto" || type == "none") {
    out.tool_choice = type;
  } else {
    inner.refuse("type", "must be \"auto\", \"any\", \"tool\" or \"none\"");
  }
  if (!inner.ok()) fields.refuse(inner.status().error());
}

bool read_text_part(Fields& part, Conversation& out) {
  const std::string type = part.text("type").value_or("");
  if (std::find(kTextParts.begin(), kTextParts.end(), type) == kTextParts.end()) {
    part.refuse("type", fmt::format("is \"{}\": this model reads text only", type));
    return false;
  }
  const auto text = part.text(type == "refusal" ? "refusal" : "text");
  if (!text) {
    part.refuse("text", "is missing");
    return false;
  }
  out.turns.back().parts.push_back(*text);
  if (const auto ttl_s = read_cache_control(part)) out.mark_here(*ttl_s);
  return part.ok();
}

void read_text_content(Fields& fields, std::string_view name, Conversation& out) {
  const json::value* content = fields.any(name);
  if (content == nullptr) return;
  if (content->is_string()) {
    out.turns.back().parts.emplace_back(content->get_string());
  } else if (content->is_array()) {
    for_each_object(fields, name, [&](Fields& part) { read_text_part(part, out); });
  } else {
    fields.refuse(name, "must be a string or a list of parts, but is " + describe(*content));
  }
}

}  // namespace payonce::engine
