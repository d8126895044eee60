#include "base/cpu.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif

namespace payonce::base {
namespace {

#ifdef __x86_64__
// Older compilers' __builtin_cpu_supports does not know it: bit 29 of leaf 1's ECX (Intel SDM, CPUID).
bool has_f16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & (1u << 29)) != 0;
}
#endif

CpuFeatures detect() {
  CpuFeatures out;
#ifdef __x86_64__
  out.avx2 = __builtin_cpu_supports("avx2") != 0;
  out.fma = __builtin_cpu_supports("fma") != 0;
  out.f16c = out.avx2 && has_f16c();
  out.avx512f = __builtin_cpu_supports("avx512f") != 0;
  out.avx512bw = __builtin_cpu_supports("avx512bw") != 0;
  out.avx512vnni = __builtin_cpu_supports("avx512vnni") != 0;
#endif
  return out;
}

}  // namespace

const CpuFeatures& cpu() {
  static const CpuFeatures features = detect();
  return features;
}

}  // namespace payonce::base
