#include "payonce/prefix_layer.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/log.h"

namespace payonce {

bool wants_prefix(const config::Settings& settings) {
  return std::ranges::find(settings.layers, "prefix") != settings.layers.end();
}

pipeline::Policy::Prefix prefix_policy(const config::Settings& settings) {
  if (!wants_prefix(settings)) return {};
  route::PrefixMode mode = settings.prefix.mode;
  if (mode == route::PrefixMode::kDefault)
    mode = settings.layers_given ? route::PrefixMode::kSafe : route::PrefixMode::kObserve;
  return {.mode = mode,
          .move = settings.prefix.move,
          .context = settings.prefix.context,
          .repeats = settings.prefix.repeats,
          .compaction = settings.prefix.compaction,
          .hold_ms = settings.prefix.hold_ms,
          .keep_alive_usd_per_day = settings.prefix.keep_alive_budget_usd};
}

PrefixLayer::PrefixLayer(const std::string& directory, const std::string& seed, uint64_t max_memory_bytes,
                         Surroundings around)
    : around_(around),
      path_(directory.empty() ? "" : directory + "/prefix.state"),
      stage_({.clock = around.clock,
              .metrics = around.metrics,
              .post = [this](std::function<void()> work) { return around_.pool.post(std::move(work)); },
              .save_soon = [this] { (void)around_.pool.post([this] { save(); }); },
              .breaker_bytes = max_memory_bytes / 4},
             {.seed = seed,
              .max_spelling_bytes = max_memory_bytes / 4,
              .max_site_bytes = max_memory_bytes / 4,
              .max_session_bytes = max_memory_bytes / 4}) {
  if (path_.empty()) return;
  const auto bytes = base::read_file(around_.env, path_);
  if (!bytes) return;  // none yet
  if (const auto loaded = stage_.optimizer().load(*bytes); !loaded)
    base::log_warn("{}: {}", path_, loaded.error().message);
}

PrefixLayer::~PrefixLayer() { save(); }

void PrefixLayer::save() {
  if (path_.empty()) return;
  const std::lock_guard lock(saving_);
  if (const auto written = base::write_file_atomic(around_.env, path_, stage_.optimizer().save()); !written)
    base::log_warn("{}: {}", path_, written.error().message);
}

}  // namespace payonce
