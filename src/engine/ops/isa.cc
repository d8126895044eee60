// Which kernels this CPU runs.
#include <string_view>

#include "base/cpu.h"
#include "engine/ops/attention.h"
#include "engine/ops/attention_kernels.h"

namespace payonce::engine {

const AttentionKernels* attention_kernels(const char* isa) {
  const std::string_view wanted = isa;
  const base::CpuFeatures& cpu = base::cpu();
  const bool avx2 = cpu.avx2 && cpu.fma && cpu.f16c;
  if (wanted == "avx512") return avx2 && cpu.avx512f ? avx512_kernels() : nullptr;
  if (wanted == "avx2") return avx2 ? avx2_kernels() : nullptr;
  if (wanted == "neon") return neon_kernels();
  if (wanted == "portable") return portable_kernels();
  return nullptr;
}

const AttentionKernels& attention_kernels() {
  static const AttentionKernels& chosen =
      base::best_kernels<AttentionKernels>(attention_kernels, {"avx512", "avx2", "neon", "portable"});
  return chosen;
}

const char* attention_isa() { return attention_kernels().isa; }

}  // namespace payonce::engine
