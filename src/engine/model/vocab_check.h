// What must hold of a file's tokenizer before libllama may see it: libllama ends the process where some of it does
// not. Threads: pure function.
#pragma once

#include "base/result.h"
#include "engine/model/gguf_file.h"

namespace payonce::engine {

// kInvalid: no tokenizer, one of an unknown kind, tables that do not fit each other.
base::Status check_tokenizer(const GgufFile& file);

}  // namespace payonce::engine
