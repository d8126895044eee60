#include "lint/live.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <exception>
#include <utility>

namespace payonce::lint {
namespace {

namespace json = boost::json;

prefix::Finding finding_of(const json::object& row, prefix::Kind kind) {
  const auto text = [&](std::string_view name) { return std::string(row.at(name).as_string()); };
  const auto count = [&](std::string_view name) { return row.at(name).to_number<uint64_t>(); };
  return {.kind = kind,
          .request = count("request"),
          .path = text("path"),
          .byte_offset = count("byte_offset"),
          .bytes = count("bytes"),
          .occurrences = count("occurrences"),
          .tokens = row.contains("tokens") ? count("tokens") : 0,
          .cost_usd = row.at("cost_usd").to_number<double>(),
          .before = text("before"),
          .after = text("after"),
          .detail = text("detail")};
}

}  // namespace

base::Result<Live> read_live(std::string_view answer, std::string name, const std::vector<prefix::Kind>& kinds) {
  Live out;
  out.name = std::make_unique<const std::string>(std::move(name));
  try {
    const json::object root = json::parse(answer).as_object();
    out.result.requests = root.at("requests").to_number<size_t>();
    out.result.skipped = root.at("skipped").to_number<size_t>();
    for (const json::value& row : root.at("findings").as_array()) {
      const auto kind = prefix::find_kind(row.at("kind").as_string());
      if (!kind || (!kinds.empty() && std::ranges::find(kinds, *kind) == kinds.end())) continue;
      out.result.findings.push_back({finding_of(row.as_object(), *kind), *out.name, 0, {}});
    }
  } catch (const std::exception& error) {
    return base::fail(
        base::Code::kCorrupt,
        fmt::format("the instance's findings cannot be read ({}); is it of another version?", error.what()));
  }
  std::ranges::stable_sort(out.result.findings, std::greater(),
                           [](const Told& told) { return told.finding.cost_usd; });
  return out;
}

}  // namespace payonce::lint
