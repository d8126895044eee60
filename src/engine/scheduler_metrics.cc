#include "engine/scheduler_metrics.h"

namespace payonce::engine {

Scheduler::Handles::Handles(base::Metrics& metrics)
    : free(metrics.gauge("payonce_kv_blocks", {{"state", "free"}})),
      used(metrics.gauge("payonce_kv_blocks", {{"state", "used"}})),
      cached(metrics.gauge("payonce_kv_blocks", {{"state", "cached"}})),
      running(metrics.gauge("payonce_engine_requests", {{"state", "running"}})),
      waiting(metrics.gauge("payonce_engine_requests", {{"state", "waiting"}})),
      hit_tokens(metrics.counter("payonce_kv_hit_tokens_total")),
      evictions_full(metrics.counter("payonce_kv_evictions_total", {{"pool", "full"}})),
      evictions_sliding(metrics.counter("payonce_kv_evictions_total", {{"pool", "sliding"}})),
      preemptions(metrics.counter("payonce_engine_preemptions_total")),
      prompt(metrics.counter("payonce_engine_tokens_total", {{"kind", "prompt"}})),
      computed(metrics.counter("payonce_engine_tokens_total", {{"kind", "computed"}})),
      output(metrics.counter("payonce_engine_tokens_total", {{"kind", "output"}})),
      prefill(metrics.histogram("payonce_engine_step_seconds", {{"kind", "prefill"}})),
      decode(metrics.histogram("payonce_engine_step_seconds", {{"kind", "decode"}})),
      mixed(metrics.histogram("payonce_engine_step_seconds", {{"kind", "mixed"}})) {}

void Scheduler::Handles::set(const EngineStats& stats, uint64_t sliding_evictions) {
  free.set(stats.blocks_free);
  used.set(stats.blocks_used);
  cached.set(stats.blocks_cached);
  running.set(stats.running);
  waiting.set(stats.waiting);
  evictions_full.add(static_cast<double>(stats.evictions - seen_evictions));
  evictions_sliding.add(static_cast<double>(sliding_evictions - seen_sliding_evictions));
  preemptions.add(static_cast<double>(stats.preemptions - seen_preemptions));
  seen_evictions = stats.evictions;
  seen_sliding_evictions = sliding_evictions;
  seen_preemptions = stats.preemptions;
}

void Scheduler::Handles::step(int32_t prefill_tokens, int32_t decodes, int64_t duration_us) {
  const double seconds = static_cast<double>(duration_us) * 1e-6;
  (prefill_tokens == 0 ? decode : decodes == 0 ? prefill : mixed).observe(seconds);
  computed.add(prefill_tokens + decodes);
}

void Scheduler::Handles::request(const EngineUsage& usage) {
  hit_tokens.add(usage.cached_tokens);
  prompt.add(usage.prompt_tokens);
  output.add(usage.completion_tokens);
}

}  // namespace payonce::engine
