// Which kernels this CPU runs.
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "embed/kernels.h"

namespace payonce::embed {
namespace {

// Also asks whether the operating system saves the registers, which __builtin_cpu_supports includes.
bool runs_avx2() {
#ifdef __x86_64__
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}

bool runs_avx512() {
#ifdef __x86_64__
  return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}

const Kernels& choose() {
  const char* wanted = std::getenv("PAYONCE_ISA");
  if (wanted != nullptr) {
    if (const Kernels* kernels = find_kernels(wanted)) return *kernels;
  }
  for (const char* isa : {"avx512", "avx2"}) {
    if (const Kernels* kernels = find_kernels(isa)) return *kernels;
  }
  return *baseline_kernels();
}

}  // namespace

const Kernels* find_kernels(const char* isa) {
  if (std::strcmp(isa, "avx512") == 0) return runs_avx512() ? avx512_kernels() : nullptr;
  if (std::strcmp(isa, "avx2") == 0) return runs_avx2() ? avx2_kernels() : nullptr;
  // What engine/ops calls so has no counterpart here but this.
  const bool plain = std::strcmp(isa, "portable") == 0 || std::strcmp(isa, "neon") == 0;
  return plain || std::strcmp(isa, "baseline") == 0 ? baseline_kernels() : nullptr;
}

const Kernels& best_kernels() {
  static const Kernels& chosen = choose();
  return chosen;
}

}  // namespace payonce::embed
