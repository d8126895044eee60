// Tokens of a model: libllama's vocabulary, wrapped in this one place.  Threads: all const methods any.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

struct llama_model;
struct llama_vocab;

namespace payonce::engine {

struct TokenTree;

class Vocab {
 public:
  // Reads the vocabulary of a GGUF file, not its weights. kNotFound, kInvalid (damaged, no or unknown tokenizer).
  // Grammars and chat templates keep a reference: it must outlive them.
  static base::Result<std::unique_ptr<Vocab>> load(const std::string& gguf_file);
  ~Vocab();
  Vocab(const Vocab&) = delete;
  Vocab& operator=(const Vocab&) = delete;

  // `parse_special`: "<|im_start|>" in the text is one token (templates, raw completions as vLLM does) rather than
  // its letters. `add_special`: BOS where the model asks for it. kInvalid for text that is not UTF-8.
  base::Result<std::vector<int32_t>> tokenize(std::string_view text, bool add_special, bool parse_special) const;
  std::string piece(int32_t token, bool special = false) const;  // bytes; a token may hold part of a UTF-8 sequence
  std::string text(std::span<const int32_t> tokens) const;

  int32_t size() const;
  bool is_end(int32_t token) const;  // end of generation: EOS, EOT, <|im_end|> …
  int32_t bos() const;               // -1: none
  int32_t eos() const;

  // An encoder's WordPiece vocabulary ("bert"), which has [CLS] for bos() and the two below.
  bool is_word_piece() const;
  int32_t separator() const;                          // [SEP]
  int32_t unknown() const;                            // [UNK]
  bool is_control(int32_t token) const;               // no text's, but of the model's own: [CLS] …
  std::string_view stored_text(int32_t token) const;  // as the file has it; a word's first piece begins with U+2581

  const llama_model* llama() const { return model_; }  // for grammar and chat templates
  const llama_vocab* llama_vocab_handle() const;
  const TokenTree& token_tree() const;  // made at the first call: some 100 ms for 262k tokens

 private:
  explicit Vocab(llama_model* model);
  llama_model* model_;
  int32_t unknown_ = -1;
  mutable std::once_flag tree_made_;
  mutable std::unique_ptr<const TokenTree> tree_;
};

}  // namespace payonce::engine
