#include "payonce/explanation_text.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <string_view>

#include "payonce/remote.h"

namespace payonce {
namespace json = boost::json;
namespace {

std::string_view text(const json::value& from, std::string_view name) {
  const json::value* value = from.as_object().if_contains(name);
  return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}

// On one line, without what a terminal would act on.
std::string quoted(std::string_view bytes) { return json::serialize(json::string(bytes)); }

std::string tokens(const json::value& of) {
  return fmt::format("{} fresh, {} read, {} written, {} output", number(of, "fresh"), number(of, "read"),
                     number(of, "write_short") + number(of, "write_long"), number(of, "output"));
}

std::string prefix_text(const json::value& prefix) {
  std::string out = prefix.at("changed").as_bool() ? "prefix    changed" : "prefix    sent as it came";
  for (const auto& [act, times] : prefix.at("acts").as_object())
    out += fmt::format(", {} {}", std::string_view(act), times.to_number<int64_t>());
  out += fmt::format("; of about {} tokens {} stood in an earlier request, {} should be read",
                     number(prefix, "tokens_estimate"), number(prefix, "shared_tokens_estimate"),
                     number(prefix, "expected_read_estimate"));
  if (const std::string_view fault = text(prefix, "fault"); !fault.empty()) out += fmt::format("; fault: {}", fault);
  return out + "\n";
}

std::string nearest_text(const json::value& nearest) {
  const json::array& differences = nearest.at("differences").as_array();
  if (differences.empty())
    return fmt::format("nearest   {}: the same request; its answer was not stored, or is gone\n",
                       text(nearest, "id"));
  std::string out = fmt::format("nearest   {}: the first {} tokens or so are equal; what differs:\n",
                                text(nearest, "id"), number(nearest, "common_tokens_estimate"));
  for (const json::value& row : differences) {
    out += fmt::format("  {}: {}", text(row, "path"), text(row, "what"));
    if (row.as_object().contains("byte_offset")) out += fmt::format(" (byte {})", number(row, "byte_offset"));
    out += '\n';
    if (const auto before = text(row, "before"); !before.empty())
      out += fmt::format("    before {}\n", quoted(before));
    if (const auto now = text(row, "now"); !now.empty()) out += fmt::format("    now    {}\n", quoted(now));
  }
  return out;
}

// An entry of the agent API: what it is, and whether what it rests on is as it was.
std::string entry_text(const json::value& entry) {
  std::string out = fmt::format("entry     {}: {}, made {} s ago, {}\n", text(entry, "entry"), text(entry, "kind"),
                                number(entry, "age"),
                                entry.at("fresh").as_bool() ? "would be given now" : "would not be given now");
  out += fmt::format("key       {}\nparts    ", text(entry, "key"));
  for (const json::value& part : entry.at("parts").as_array())
    out += " " + quoted(std::string_view(part.as_string()));
  out += "\n";
  for (const json::value& dependency : entry.at("dependencies").as_array()) {
    const std::string_view path = text(dependency, "path");
    out += fmt::format("{:<9} {} {}\n", dependency.at("changed").as_bool() ? "changed" : "as it was",
                       text(dependency, "type"), quoted(path.empty() ? text(dependency, "name") : path));
  }
  return out;
}

}  // namespace

std::string explanation_text(const json::value& explanation) {
  if (explanation.as_object().contains("dependencies")) return entry_text(explanation);
  const json::object& of = explanation.as_object();
  std::string out =
      fmt::format("{}  {}  {}  {}\nkey       {}\n", text(explanation, "id"), text(explanation, "outcome"),
                  text(explanation, "dialect"), text(explanation, "model"), text(explanation, "key"));
  if (of.contains("layer")) {
    out +=
        fmt::format("answered  by the {} layer, {} s old", text(explanation, "layer"), number(explanation, "age_s"));
    if (const json::value* cosine = of.if_contains("similarity"))
      out += fmt::format(", similarity {:.3f}", cosine->to_number<double>());
    const json::value& saved = explanation.at("saved");
    return out + fmt::format("\nsaved     {}; {:.6f} USD\n", tokens(saved.at("tokens")),
                             saved.at("usd").to_number<double>());
  }
  for (const auto& [layer, reason] : explanation.at("reasons").as_object())
    out += fmt::format("{:<9} {}\n", std::string_view(layer), std::string_view(reason.as_string()));
  if (const json::value* prefix = of.if_contains("prefix")) out += prefix_text(*prefix);
  if (const std::string_view says = text(explanation, "provider_says"); !says.empty())
    out += fmt::format("provider  says: {}\n", says);
  if (const json::value* billed = of.if_contains("billed"))
    out += fmt::format("billed    {}; {:.6f} USD\n", tokens(*billed), explanation.at("cost_usd").to_number<double>());
  if (const json::value* nearest = of.if_contains("nearest")) out += nearest_text(*nearest);
  return out;
}

}  // namespace payonce
