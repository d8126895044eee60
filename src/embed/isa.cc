// Which kernels this CPU runs.
#include <string_view>

#include "base/cpu.h"
#include "embed/kernels.h"

namespace payonce::embed {

const Kernels* find_kernels(const char* isa) {
  const std::string_view wanted = isa;
  const base::CpuFeatures& cpu = base::cpu();
  const bool avx2 = cpu.avx2 && cpu.fma;
  if (wanted == "avx512") return avx2 && cpu.avx512f && cpu.avx512vnni ? avx512_kernels() : nullptr;
  if (wanted == "avx2") return avx2 ? avx2_kernels() : nullptr;
  // "neon": engine/ops has some, here the compiler does it.
  return wanted == "portable" || wanted == "neon" ? portable_kernels() : nullptr;
}

const Kernels& best_kernels() {
  static const Kernels& chosen = base::best_kernels<Kernels>(find_kernels, {"avx512", "avx2", "portable"});
  return chosen;
}

}  // namespace payonce::embed
