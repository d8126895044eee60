#include "payonce/audit_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <fstream>
#include <memory>

#include "audit/write.h"
#include "base/metrics.h"
#include "base/terminal.h"
#include "payonce/make_embedder.h"
#include "payonce/progress_bar.h"
#include "payonce/run.h"

namespace payonce {
namespace {

bool write_file(const std::string& name, const std::string& text) {
  std::ofstream file(name, std::ios::binary | std::ios::trunc);
  return (file << text) && file.flush();
}

audit::Options replay_options(const AuditOptions& options, const config::Settings& settings) {
  const auto names = [&](std::string_view layer) {
    return std::ranges::find(settings.layers, layer) != settings.layers.end();
  };
  audit::Options out;
  out.exact = names("exact");
  out.semantic = names("semantic");
  const bool decided = settings.prefix.mode != route::PrefixMode::kDefault;
  out.prefix = !names("prefix") ? route::PrefixMode::kOff : decided ? settings.prefix.mode : route::PrefixMode::kSafe;
  out.move = settings.prefix.move;
  out.error_bound = settings.error_bound;
  out.ttl_s = settings.ttl_s;
  out.memory_bytes = settings.max_memory_bytes + settings.max_disk_bytes;
  out.cache_sampled = settings.cache_sampled;
  out.sharing = options.sharing;
  out.provider = options.provider;
  for (const auto& [model, price] : settings.prices) out.prices.set(model, price);
  for (const auto& [model, price] : options.prices) out.prices.set(model, price);
  return out;
}

void tell_skipped(const history::Log& log) {
  constexpr size_t kShown = 5;
  for (size_t i = 0; i < std::min(log.skipped.size(), kShown); ++i) {
    const history::Skipped& line = log.skipped[i];
    const std::string& file = log.files.empty() ? "" : log.files[line.file].name;
    (void)std::fprintf(stderr, "payonce: %s%s: %s\n", file.c_str(),
                       line.line == 0 ? "" : fmt::format(":{}", line.line).c_str(),
                       base::for_terminal(line.why).c_str());
  }
  if (log.skipped_count() > kShown)
    (void)std::fprintf(stderr, "payonce: … and %llu more lines that could not be read; --json lists them\n",
                       static_cast<unsigned long long>(log.skipped_count() - kShown));
}

}  // namespace

int run_audit(const AuditOptions& options, const config::Settings& settings) {
  ProgressBar bar;
  const history::Log log = history::read(
      options.logs,
      {.format = options.format, .progress = [&](uint64_t done, uint64_t all) { bar.show("reading", done, all); }});
  tell_skipped(log);
  if (log.calls.empty())
    return complain("no recorded call was found; docs/logs.md lists the formats, --format NAME forces one", kFailed);

  audit::Options replay = replay_options(options, settings);
  base::Metrics metrics;
  std::unique_ptr<embed::Embedder> embedder;
  if (replay.semantic) {
    auto made = make_embedder(settings, metrics);
    if (!made) return complain(made.error(), kFailed);
    embedder = *std::move(made);
    replay.semantic = embedder != nullptr;
    if (!embedder && settings.embedder.source.empty())
      (void)std::fputs(
          "payonce: no embedder was found, so the semantic layer is left out; --embedder FILE names one, "
          "./dev run makes it\n",
          stderr);
  }
  const audit::Report report =
      audit::audit(log, replay, embedder.get(), options.wanted,
                   [&](const audit::Stage& stage) { bar.show(stage.name, stage.done, stage.all); });
  const boost::json::object json = audit::as_json(report, log, replay);
  const std::string text = boost::json::serialize(json) + "\n";
  if (!options.json_file.empty() && options.json_file != "-" && !write_file(options.json_file, text))
    return complain(fmt::format("cannot write '{}'", options.json_file), kFailed);
  if (!options.html_file.empty() && !write_file(options.html_file, audit::as_html(json)))
    return complain(fmt::format("cannot write '{}'", options.html_file), kFailed);
  (void)std::fputs((options.json_file == "-" ? text : base::for_terminal(audit::as_text(report))).c_str(), stdout);
  if (!options.html_file.empty() && options.json_file != "-")
    (void)std::fprintf(stdout, "\nThe report: %s\n", options.html_file.c_str());
  return log.unreadable ? 1 : 0;
}

base::Result<std::pair<std::string, llm::Price>> parse_price(const std::string& text) {
  const auto wrong = [&] {
    return base::fail(base::Code::kInvalid,
                      fmt::format("expected MODEL=IN,OUT[,READ[,WRITE[,WRITE1H]]] in USD per million tokens, such as "
                                  "gpt-x=2.5,10,0.25; found '{}'",
                                  text));
  };
  const size_t equals = text.rfind('=');
  if (equals == std::string::npos || equals == 0) return wrong();
  std::vector<double> numbers;
  for (size_t at = equals + 1; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    double number = 0;
    const auto [rest, error] = std::from_chars(text.data() + at, text.data() + end, number);
    if (error != std::errc() || rest != text.data() + end || number < 0) return wrong();
    numbers.push_back(number);
    at = end + 1;
  }
  if (numbers.size() < 2 || numbers.size() > 5) return wrong();
  llm::Price price{.input = numbers[0], .output = numbers[1]};
  price.cache_read = numbers.size() > 2 ? numbers[2] : price.input;
  price.cache_write_short = numbers.size() > 3 ? numbers[3] : price.input;
  price.cache_write_long = numbers.size() > 4 ? numbers[4] : price.cache_write_short;
  return std::pair(text.substr(0, equals), price);
}

}  // namespace payonce
