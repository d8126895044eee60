#include "engine/model/vocab_check.h"

#include <fmt/format.h>

#include <string>
#include <unordered_set>

namespace payonce::engine {

namespace {

struct Table {
  int64_t id = -1;
  size_t items = 0;
};

// A table of the tokenizer; id -1 when there is none. `others`: a second element type that may be.
base::Result<Table> table(const GgufFile& file, const char* key, gguf_type type, gguf_type other) {
  Table found;
  found.id = gguf_find_key(file.keys(), key);
  if (found.id < 0) return found;
  const gguf_type kind = gguf_get_kv_type(file.keys(), found.id);
  const gguf_type items = kind == GGUF_TYPE_ARRAY ? gguf_get_arr_type(file.keys(), found.id) : GGUF_TYPE_COUNT;
  if (items != type && items != other) {
    return file.invalid(fmt::format("key '{}' is not an array of {}", key, gguf_type_name(type)));
  }
  found.items = gguf_get_arr_n(file.keys(), found.id);
  return found;
}

// libllama maps text to token and asserts that no two tokens have the same text. It renames empty ones.
base::Status check_unique(const GgufFile& file, const Table& tokens) {
  std::unordered_set<std::string> seen;
  seen.reserve(tokens.items);
  for (size_t i = 0; i < tokens.items; ++i) {
    std::string text = gguf_get_arr_str(file.keys(), tokens.id, i);
    if (text.empty()) text = fmt::format("[EMPTY_{}]", i);
    if (!seen.insert(std::move(text)).second) {
      return file.invalid(fmt::format("token {} repeats the text of an earlier one (damaged vocabulary)", i));
    }
  }
  return {};
}

}  // namespace

base::Status check_tokenizer(const GgufFile& file) {
  PAYONCE_TRY(const std::string model, file.text("tokenizer.ggml.model", ""));
  if (model.empty()) return file.invalid("no tokenizer (key 'tokenizer.ggml.model' is missing)");
  if (model != "llama" && model != "gpt2" && model != "bert") {
    return file.invalid(fmt::format("tokenizer '{}' is not supported (known: llama, gpt2, bert)", model));
  }
  PAYONCE_TRY(const Table tokens, table(file, "tokenizer.ggml.tokens", GGUF_TYPE_STRING, GGUF_TYPE_STRING));
  if (tokens.items < 2) return file.invalid("no vocabulary (key 'tokenizer.ggml.tokens' is missing or empty)");
  PAYONCE_CHECK_OK(check_unique(file, tokens));
  PAYONCE_TRY(const Table scores, table(file, "tokenizer.ggml.scores", GGUF_TYPE_FLOAT32, GGUF_TYPE_INT32));
  PAYONCE_TRY(const Table types, table(file, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, GGUF_TYPE_INT32));
  PAYONCE_TRY(const Table merges, table(file, "tokenizer.ggml.merges", GGUF_TYPE_STRING, GGUF_TYPE_STRING));
  if ((scores.id >= 0 && scores.items != tokens.items) || (types.id >= 0 && types.items != tokens.items)) {
    return file.invalid(fmt::format("{} tokens, but {} scores and {} types (damaged vocabulary)", tokens.items,
                                    scores.items, types.items));
  }
  if (model == "gpt2" && merges.id < 0) return file.invalid("no merges (key 'tokenizer.ggml.merges' is missing)");
  return {};
}

}  // namespace payonce::engine
