#include "prompt_cache/economics.h"

#include <cmath>

#include "prompt_cache/simulator.h"

namespace payonce::prompt_cache {
namespace {

constexpr double kRounding = 1e-9;  // 0.75 / 0.05 is 15, not 14.999…

int64_t whole(double value) { return static_cast<int64_t>(std::floor(value + kRounding)); }

}  // namespace

Factors factors_of(const Rule& rule, Ttl ttl) {
  return {.write = rule.ttl(ttl == Ttl::kNone ? rule.default_ttl : ttl).write_factor, .read = rule.read_factor};
}

// w + n·r < n + 1, so n > (w − 1) / (1 − r).
int64_t break_even_reads(Factors factors) {
  if (factors.read >= 1) return factors.write < 1 ? 0 : -1;
  return std::max<int64_t>(0, whole((factors.write - 1) / (1 - factors.read)) + 1);
}

double saving(Factors factors, int64_t reads) {
  const auto n = static_cast<double>(reads);
  return 1 - (factors.write + n * factors.read) / (n + 1);
}

int64_t pings_before_rewrite(Factors factors) { return whole((factors.write - factors.read) / factors.read); }

int64_t pings_before_long(Factors factors, double long_write) {
  return whole((long_write - factors.write) / factors.read);
}

double mark_threshold(Factors factors) { return factors.read >= 1 ? 1 : (factors.write - 1) / (1 - factors.read); }

double cost(const Billed& billed, const Rule& rule) {
  return static_cast<double>(billed.fresh) + static_cast<double>(billed.read) * rule.read_factor +
         static_cast<double>(billed.write_short) * rule.short_ttl.write_factor +
         static_cast<double>(billed.write_long) * rule.long_ttl.write_factor;
}

}  // namespace payonce::prompt_cache
