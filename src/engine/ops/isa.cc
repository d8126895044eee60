// Which kernels this CPU runs.
#ifdef __x86_64__
#include <cpuid.h>
#endif

#include <cstdlib>
#include <cstring>

#include "base/log.h"
#include "engine/ops/attention.h"
#include "engine/ops/attention_kernels.h"

namespace payonce::engine {
namespace {

#ifdef __x86_64__
// Older compilers' __builtin_cpu_supports does not know it: bit 29 of leaf 1's ECX (Intel SDM, CPUID).
bool has_f16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & (1u << 29)) != 0;
}
#endif

// Also asks whether the operating system saves the registers, which __builtin_cpu_supports includes.
bool runs_avx2() {
#ifdef __x86_64__
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
#else
  return false;
#endif
}

bool runs_avx512() {
#ifdef __x86_64__
  return runs_avx2() && __builtin_cpu_supports("avx512f");
#else
  return false;
#endif
}

const AttentionKernels& choose() {
  const AttentionKernels* best = nullptr;
  for (const char* isa : {"avx512", "avx2", "neon", "portable"}) {
    if (best == nullptr) best = attention_kernels(isa);
  }
  const char* wanted = std::getenv("PAYONCE_ISA");
  if (wanted == nullptr || *wanted == '\0') return *best;
  if (const AttentionKernels* kernels = attention_kernels(wanted)) return *kernels;
  base::log_warn("PAYONCE_ISA={} is not known or this CPU cannot run it: using {}", wanted, best->isa);
  return *best;
}

}  // namespace

const AttentionKernels* attention_kernels(const char* isa) {
  if (std::strcmp(isa, "avx512") == 0) return runs_avx512() ? avx512_kernels() : nullptr;
  if (std::strcmp(isa, "avx2") == 0) return runs_avx2() ? avx2_kernels() : nullptr;
  if (std::strcmp(isa, "neon") == 0) return neon_kernels();
  if (std::strcmp(isa, "portable") == 0) return portable_kernels();
  return nullptr;
}

const AttentionKernels& attention_kernels() {
  static const AttentionKernels& chosen = choose();
  return chosen;
}

const char* attention_isa() { return attention_kernels().isa; }

}  // namespace payonce::engine
