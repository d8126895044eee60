// Dot products of int8 vectors, with AVX2 where the CPU has it.  Threads: any.
#pragma once

#include <cstddef>
#include <cstdint>

namespace payonce::semantic {

int32_t dot_int8(const int8_t* a, const int8_t* b, size_t count);
int32_t dot_int8_plain(const int8_t* a, const int8_t* b, size_t count);  // for tests, and other CPUs

}  // namespace payonce::semantic
