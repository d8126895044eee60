// docs/providers.md: the table for people.
#include <fmt/format.h>

#include <span>

#include "prompt_cache/rules.h"

namespace payonce::prompt_cache {
namespace {

std::string joined(std::span<const std::string> parts, std::string_view with) {
  std::string out;
  for (const std::string& part : parts) out.append(out.empty() ? "" : with).append(part);
  return out;
}

// A cell of a table: '|' would end it, '*' in a pattern would be emphasis.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) out.append(c == '|' || c == '*' ? std::string("\\") + c : std::string(1, c));
  return out.empty() ? "–" : out;
}

std::string code(std::string_view text) { return text.empty() ? "–" : fmt::format("`{}`", text); }

std::string ttls_of(const Provider& row) {
  std::string out;
  for (const auto* ttl : {&row.short_ttl, &row.long_ttl})
    if (*ttl) {
      const bool is_default = row.default_ttl == (ttl == &row.short_ttl ? Ttl::kShort : Ttl::kLong);
      out += fmt::format("{}{} {}x{}", out.empty() ? "" : ", ", (*ttl)->name, (*ttl)->write_factor,
                         is_default && row.short_ttl && row.long_ttl ? " (default)" : "");
    }
  return out;
}

std::string minimum_of(const Provider& row) {
  std::string out = fmt::format("{} / {}", row.min_tokens, row.increment_tokens);
  if (row.slots > 0) out += fmt::format(", {} slots", row.slots);
  return out;
}

std::string breakpoints_of(const Provider& row) {
  if (row.match != Match::kWrittenPositions) return "–";
  return fmt::format("{}{} / {} {}", row.max_breakpoints, row.surplus == Surplus::kError ? "" : " (surplus dropped)",
                     row.lookback, row.lookback_of == LookbackOf::kPositions ? "positions" : "message ends");
}

std::string_view automatic_of(const Provider& row) {
  switch (row.automatic) {
    case Automatic::kNever: return "no";
    case Automatic::kOnRequest: return "on request";
    case Automatic::kImplicit: return "yes, one";
    case Automatic::kAlways: break;
  }
  return "no marks needed";
}

std::string rules_table(const Providers& providers) {
  std::string out =
      "| surface | id | a hit needs | minimum / step | kept: write factor | read factor | marks / look-back | marked "
      "for "
      "you | marker | readable |\n|---|---|---|---|---|---|---|---|---|---|\n";
  for (const Provider& row : providers.all())
    out += fmt::format("| {} | `{}` | {} | {} | {} | {} | {} | {} | {} | {} |\n", row.name, row.id,
                       match_name(row.match), minimum_of(row), ttls_of(row), row.read_factor, breakpoints_of(row),
                       automatic_of(row), row.marker == Marker::kNone ? "–" : code(marker_name(row.marker)),
                       row.visible == Visible::kFirstByte ? "at the first byte" : "after the answer");
  return out;
}

std::string models_table(const Providers& providers) {
  std::string out = "| id | model | minimum | step | read factor |\n|---|---|---|---|---|\n";
  const auto number = [](const auto& value) { return value ? fmt::format("{}", *value) : std::string("–"); };
  for (const Provider& row : providers.all())
    for (const ModelRule& model : row.models)
      out += fmt::format("| `{}` | `{}` | {} | {} | {} |\n", row.id, model.pattern, number(model.min_tokens),
                         number(model.increment_tokens), number(model.read_factor));
  return out;
}

std::string fields_table(const Providers& providers) {
  std::string out =
      "| id | read | written | fresh | input count | routing | separates |\n|---|---|---|---|---|---|---|\n";
  for (const Provider& row : providers.all()) {
    const Routing& routing = row.routing;
    const std::string by = routing.field.empty()    ? code(routing.header)
                           : routing.header.empty() ? code(routing.field)
                                                    : code(routing.field) + ", header " + code(routing.header);
    out +=
        fmt::format("| `{}` | {} | {} | {} | {} | {} | {} |\n", row.id, cell(row.usage.read), cell(row.usage.write),
                    cell(row.usage.fresh), row.usage.input_includes_cached ? "all" : "without cached", by,
                    routing.separates ? "yes" : "no");
  }
  return out;
}

std::string invalidates_list(const Providers& providers) {
  std::string out;
  for (const Provider& row : providers.all()) {
    const Invalidates& by = row.invalidates;
    if (by.all.empty()) continue;
    out += fmt::format("- `{}`: everything by {}", row.id, joined(by.all, ", "));
    if (!by.system_and_messages.empty())
      out += fmt::format("; system and messages by {}", joined(by.system_and_messages, ", "));
    if (!by.messages.empty()) out += fmt::format("; messages by {}", joined(by.messages, ", "));
    out += ".\n";
  }
  return out;
}

std::string sources_list(const Providers& providers) {
  std::string out;
  for (const Provider& row : providers.all()) {
    out += fmt::format("- `{}` ({}): {}.", row.id, row.as_of, joined(row.sources, "; "));
    if (!row.notes.empty()) out += fmt::format(" Notes: {}.", joined(row.notes, "; "));
    if (!row.assumed.empty()) out += fmt::format(" **Assumed:** {}.", joined(row.assumed, ", "));
    out += "\n";
  }
  return out;
}

}  // namespace

std::string providers_markdown() {
  const Providers& providers = Providers::built_in();
  return fmt::format(R"(# How providers cache prompts

Generated from `src/prompt_cache/data/providers.json`; a test compares this page and rewrites it with
`PAYONCE_UPDATE_DOCS=1`. Factors are multiples of the price of uncached input. Where a maker does not publish a
number, the row says what is assumed. `Written positions` means: a prefix is read only up to a place where an earlier
request wrote, never any shorter common part.

{}
## By model

The first row that matches holds, column by column; "–" and other models: as the provider.

{}
## Where answers tell, and what leads to the same machine

{}
## What makes a prefix another one

{}
## Sources

{})",
                     rules_table(providers), models_table(providers), fields_table(providers),
                     invalidates_list(providers), sources_list(providers));
}

}  // namespace payonce::prompt_cache
