#include "engine/model/library_log.h"

#include <llama.h>
#include <log.h>

#include <mutex>

namespace payonce::engine {

namespace {

constexpr size_t kMaxKeptBytes = 4096;
thread_local std::string* kept = nullptr;

void keep(ggml_log_level level, const char* text, void*) {
  if (kept && level == GGML_LOG_LEVEL_ERROR && kept->size() < kMaxKeptBytes) kept->append(text);
}

}  // namespace

void quiet_libraries() {
  static std::once_flag once;
  std::call_once(once, [] {
    llama_log_set(keep, nullptr);  // ggml's too
    common_log_set_verbosity_thold(-1);
  });
}

LibraryErrors::LibraryErrors() : outer_(kept) {
  quiet_libraries();
  kept = &lines_;
}

LibraryErrors::~LibraryErrors() { kept = outer_; }

std::string LibraryErrors::first() const {
  std::string line = lines_.substr(0, lines_.find('\n'));
  // "gguf_init_from_reader: tensor 'x' has …"
  const size_t colon = line.find(": ");
  if (colon != std::string::npos && line.find(' ') > colon) line.erase(0, colon + 2);
  return line;
}

}  // namespace payonce::engine
