// A text's tokens as BERT's reference tokenizer has them: libllama's WordPiece, with [CLS] and [SEP] around, cut to
// what the model reads. Two of libllama's deviations are mended here (Hangul is taken to letters; a word of more than
// 100 letters is unknown), one is left: it drops the spacing marks of Indic scripts and enclosing ones (U+20E3), as
// it does accents. Of 60,000 questions people asked, 7 have other tokens, all in Devanagari. Threads: const methods
// any.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/model/vocab.h"

namespace payonce::embed {

class WordPieces {
 public:
  struct Tokens {
    std::vector<int32_t> ids;  // [CLS] … [SEP]
    bool truncated = false;
  };
  // `max_tokens`: with [CLS] and [SEP]. kInvalid: no WordPiece vocabulary, or another size than `vocab`.
  static base::Result<std::unique_ptr<WordPieces>> load(const std::string& gguf_file, int32_t vocab,
                                                        int32_t max_tokens);

  // kInvalid: not UTF-8.
  base::Result<Tokens> tokenize(std::string_view text) const;

 private:
  WordPieces() = default;
  base::Result<std::vector<int32_t>> pieces_of(std::string_view text) const;

  std::unique_ptr<engine::Vocab> vocab_;
  int32_t max_tokens_ = 0;
  struct Piece {
    enum Place : uint8_t { kAlone, kBegins, kContinues } place;  // in a word; [CLS], [UNK] … stand alone
    uint8_t letters;                                             // 255: that or more
  };
  std::vector<Piece> pieces_;  // [vocab]
};

}  // namespace payonce::embed
