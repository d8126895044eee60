// What every target needs: the input as text, and a check that stays on and ends the run.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#define PAYONCE_FUZZ_CHECK(expression)                                                           \
  do {                                                                                           \
    if (!(expression)) {                                                                         \
      (void)std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #expression); \
      std::abort();                                                                              \
    }                                                                                            \
  } while (false)

namespace payonce::fuzz {

inline std::string_view text(const uint8_t* data, size_t size) { return {reinterpret_cast<const char*>(data), size}; }

}  // namespace payonce::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
