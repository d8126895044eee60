// Reads through the header of a GGUF file with every length checked against the bytes that are there. ggml's reader
// comes after it and sees well-formed headers only: it allocates what a damaged count asks for, and its messages do
// not say where. Threads: pure function.  Source: docs/gguf.md of ggml (versions 2 and 3, little endian).
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace payonce::engine {

// `file`: all bytes. kInvalid: what is wrong and at which byte.
base::Status scan_gguf_header(std::string_view file);

}  // namespace payonce::engine
