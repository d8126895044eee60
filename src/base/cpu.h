// What this CPU runs, and which of a module's kernels are taken for it.  Threads: any.
#pragma once

#include <cstdlib>
#include <initializer_list>
#include <string_view>

#include "base/log.h"

namespace payonce::base {

// Includes whether the operating system saves the registers. All false on other families than x86-64.
struct CpuFeatures {
  bool avx2 = false, fma = false, f16c = false, avx512f = false, avx512bw = false, avx512vnni = false;
};
const CpuFeatures& cpu();

// The first of `names` for which `find` has kernels here, so the best come first and the last must always be found.
// PAYONCE_ISA names others, to test them; a name that cannot be had is told, and not taken.
template <class Kernels>
const Kernels& best_kernels(const Kernels* (*find)(const char*), std::initializer_list<const char*> names) {
  if (const char* wanted = std::getenv("PAYONCE_ISA"); wanted != nullptr && *wanted != '\0') {
    if (const Kernels* kernels = find(wanted)) return *kernels;
    log_warn("PAYONCE_ISA={} is not known or this CPU cannot run it: the best that it can is taken", wanted);
  }
  for (const char* name : names)
    if (const Kernels* kernels = find(name)) return *kernels;
  std::abort();  // unreachable: see above
}

}  // namespace payonce::base
