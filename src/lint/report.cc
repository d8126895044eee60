#include "lint/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "base/ascii.h"
#include "base/utf8.h"
#include "prefix/breakers/finding_json.h"

namespace payonce::lint {
namespace {

namespace json = boost::json;

constexpr size_t kShortBytes = 80, kLongBytes = 400, kMaxSkippedShown = 20;

// The bytes around a finding and a caret line under them.
std::string excerpt(const Told& told, const Show& show) {
  const std::string_view body = told.body;
  if (show.redact || told.finding.byte_offset >= body.size()) return {};
  const size_t room = show.text ? kLongBytes : kShortBytes;
  size_t begin = told.finding.byte_offset - std::min(told.finding.byte_offset, room / 3);
  if (const size_t newline = body.substr(begin, told.finding.byte_offset - begin).rfind('\n');
      newline != std::string_view::npos)
    begin += newline + 1;
  while (begin < told.finding.byte_offset && base::continues_character(body[begin])) ++begin;
  size_t end = std::min(begin + room, body.size());
  while (end < body.size() && base::continues_character(body[end])) ++end;
  end = std::min(end, body.find('\n', told.finding.byte_offset));
  std::string line(body.substr(begin, end - begin));
  std::replace_if(line.begin(), line.end(), base::is_control, ' ');
  const size_t before = base::count_characters(body.substr(begin, told.finding.byte_offset - begin));
  const size_t marked = std::min(told.finding.bytes, end - std::min(end, told.finding.byte_offset));
  std::string caret = std::string(before, ' ') + "^";
  if (marked > 1)
    caret += std::string(base::count_characters(body.substr(told.finding.byte_offset, marked)) - 1, '~');
  return fmt::format("    {}\n    {}\n", line, caret);
}

std::string one_line(std::string text) {
  std::replace_if(text.begin(), text.end(), base::is_control, ' ');
  return text;
}

std::string changed(const prefix::Finding& finding, const Show& show) {
  std::string out;
  if (!finding.detail.empty()) out += fmt::format("  seen: {}\n", one_line(finding.detail));
  if (!show.redact && !finding.before.empty() && !finding.after.empty())
    out += fmt::format("  from: {}\n    to: {}\n", one_line(finding.before), one_line(finding.after));
  return out;
}

std::string place(const Told& told) {
  return fmt::format("{}:{}", told.finding.path.empty() ? "body" : told.finding.path, told.finding.byte_offset);
}

std::string where(const Told& told) {
  return told.line == 0 ? std::string(told.file) : fmt::format("{}:{}", told.file, told.line);
}

}  // namespace

std::string as_text(const Input& input, const Result& result, const Show& show) {
  std::string out;
  double total = 0;
  for (const Told& told : result.findings) {
    const prefix::Finding& finding = told.finding;
    const prefix::KindInfo& about = finding.about();
    total += finding.cost_usd;
    out += fmt::format("{}: {}: {}: {}\n", where(told), place(told), about.name, about.what);
    out += excerpt(told, show) + changed(finding, show);
    out += fmt::format("  why: {}\n  fix ({}{}): {}\n", about.why, fix_class_name(about.fix_class),
                       about.safe ? ", safe" : "", about.fix);
    out += fmt::format("  cost: ${:.4f}, {} tokens in {} request{}\n\n", finding.cost_usd, finding.tokens,
                       finding.occurrences, finding.occurrences == 1 ? "" : "s");
  }
  for (size_t i = 0; i < std::min(input.skipped.size(), kMaxSkippedShown); ++i) {
    const Skipped& skipped = input.skipped[i];
    out += skipped.line == 0 ? fmt::format("{}: {}\n", skipped.file, skipped.why)
                             : fmt::format("{}:{}: skipped: {}\n", skipped.file, skipped.line, skipped.why);
  }
  if (input.skipped_count > kMaxSkippedShown)
    out += fmt::format("… and {} more skipped\n", input.skipped_count - kMaxSkippedShown);
  out += fmt::format("{} requests, {} finding{}, ${:.4f}", result.requests, result.findings.size(),
                     result.findings.size() == 1 ? "" : "s", total);
  if (const size_t skipped = input.skipped_count + result.skipped; skipped > 0)
    out += fmt::format(", {} skipped", skipped);
  return out + "\n";
}

std::string as_json(const Input& input, const Result& result, const Show& show) {
  json::array findings;
  for (const Told& told : result.findings) {
    json::object row = prefix::finding_json(told.finding, !show.redact);
    row["file"] = told.file;
    row["line"] = told.line;
    findings.push_back(std::move(row));
  }
  json::array lines;
  for (size_t i = 0; i < std::min(input.skipped.size(), kMaxSkippedShown); ++i)
    lines.push_back(json::object{
        {"file", input.skipped[i].file}, {"line", input.skipped[i].line}, {"why", input.skipped[i].why}});
  return json::serialize(json::object{{"requests", result.requests},
                                      {"skipped", input.skipped_count + result.skipped},
                                      {"skipped_lines", std::move(lines)},
                                      {"findings", std::move(findings)}});
}

std::string as_sarif(const Result& result) {
  json::array rules, results;
  for (const prefix::KindInfo& about : prefix::all_kinds())
    rules.push_back(json::object{{"id", about.name},
                                 {"shortDescription", json::object{{"text", about.what}}},
                                 {"fullDescription", json::object{{"text", about.why}}},
                                 {"help", json::object{{"text", about.fix}}}});
  for (const Told& told : result.findings) {
    const prefix::Finding& finding = told.finding;
    const std::string message =
        fmt::format("{} at {}: {}. Fix: {}. ${:.4f} in {} requests.", finding.about().what, place(told),
                    finding.about().why, finding.about().fix, finding.cost_usd, finding.occurrences);
    json::object at{{"artifactLocation", json::object{{"uri", told.file}}}};
    if (told.line > 0) at["region"] = json::object{{"startLine", told.line}};
    results.push_back(
        json::object{{"ruleId", finding.about().name},
                     {"level", finding.about().fix_class == prefix::FixClass::kAdvise ? "note" : "warning"},
                     {"message", json::object{{"text", message}}},
                     {"locations", json::array{json::object{{"physicalLocation", std::move(at)}}}}});
  }
  const json::object driver{{"name", "payonce lint"}, {"rules", std::move(rules)}};
  return json::serialize(json::object{{"version", "2.1.0"},
                                      {"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
                                      {"runs", json::array{json::object{{"tool", json::object{{"driver", driver}}},
                                                                        {"results", std::move(results)}}}}});
}

}  // namespace payonce::lint
