#include "embed/word_pieces.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"

namespace payonce::embed {

namespace {

constexpr std::string_view kWordMark = "\xE2\x96\x81";  // U+2581
// A longer word is [UNK] to the reference (max_input_chars_per_word); libllama would take it to pieces.
constexpr size_t kMaxWordLetters = 100;

constexpr size_t kMaxBytesPerToken = 32;  // more than nearly any text has

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

// Canonical decomposition of Hangul syllables to Jamo (Unicode 15, section 3.12), of which libllama keeps only the
// first.
std::string with_jamo(std::string_view text) {
  constexpr uint32_t kFirst = 0xAC00, kCount = 11172, kVowels = 21, kFinals = 28;
  std::string out;
  const auto add = [&](uint32_t code) { base::append_character(out, code); };
  for (size_t i = 0; i < text.size();) {
    const uint32_t code = base::front_character(text.substr(i)).code;
    if (code < kFirst || code >= kFirst + kCount) {
      out += text[i++];
      continue;
    }
    const uint32_t syllable = code - kFirst;
    add(0x1100 + syllable / (kVowels * kFinals));
    add(0x1161 + syllable / kFinals % kVowels);
    if (syllable % kFinals > 0) add(0x11A7 + syllable % kFinals);
    i += 3;
  }
  return out;
}

bool may_be_hangul(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0xEA; });
}

}  // namespace

base::Result<std::unique_ptr<WordPieces>> WordPieces::load(const std::string& gguf_file, int32_t vocab,
                                                           int32_t max_tokens) {
  std::unique_ptr<WordPieces> out(new WordPieces);
  PAYONCE_TRY(out->vocab_, engine::Vocab::load(gguf_file));
  if (!out->vocab_->is_word_piece()) {
    return base::fail(base::Code::kInvalid, gguf_file + ": the tokenizer is not BERT's WordPiece ('bert')");
  }
  if (out->vocab_->size() != vocab) {
    return base::fail(base::Code::kInvalid, fmt::format("{}: {} tokens in the vocabulary, but {} rows in tensor "
                                                        "'token_embd.weight'",
                                                        gguf_file, out->vocab_->size(), vocab));
  }
  out->max_tokens_ = max_tokens;
  for (int32_t token = 0; token < vocab; ++token) {
    std::string_view text = out->vocab_->stored_text(token);
    const bool begins = text.starts_with(kWordMark);
    if (begins) text.remove_prefix(kWordMark.size());
    const Piece::Place inside = begins ? Piece::kBegins : Piece::kContinues;
    out->pieces_.push_back({.place = out->vocab_->is_control(token) ? Piece::kAlone : inside,
                            .letters = static_cast<uint8_t>(std::min<size_t>(base::count_characters(text), 255))});
  }
  return out;
}

base::Result<std::vector<int32_t>> WordPieces::pieces_of(std::string_view text) const {
  // "[MASK]" in a text is that token, as with the reference and with llama.cpp's server.
  PAYONCE_TRY(const std::vector<int32_t> ids, vocab_->tokenize(text, /*add_special=*/false, /*parse_special=*/true));
  const auto piece = [&](size_t i) { return pieces_[static_cast<size_t>(ids[i])]; };
  std::vector<int32_t> out;
  out.reserve(ids.size());
  for (size_t i = 0; i < ids.size();) {
    size_t end = i + 1, letters = piece(i).letters;
    for (; end < ids.size() && piece(end).place == Piece::kContinues; ++end) letters += piece(end).letters;
    if (letters > kMaxWordLetters && piece(i).place == Piece::kBegins) {
      out.push_back(vocab_->unknown());
    } else {
      out.insert(out.end(), ids.begin() + static_cast<ptrdiff_t>(i), ids.begin() + static_cast<ptrdiff_t>(end));
    }
    i = end;
  }
  return out;
}

base::Result<WordPieces::Tokens> WordPieces::tokenize(std::string_view text) const {
  const auto room = static_cast<size_t>(max_tokens_ - 2);
  std::vector<int32_t> ids;
  // Of a long text no more is taken to pieces than is read. A cut at white space changes no earlier piece.
  size_t end = room * kMaxBytesPerToken;
  do {
    while (end < text.size() && !is_space(text[end])) ++end;
    const std::string_view part = text.substr(0, end);
    PAYONCE_TRY(ids, may_be_hangul(part) ? pieces_of(with_jamo(part)) : pieces_of(part));
    if (ids.size() > room) break;
    end *= 4;
  } while (end / 4 < text.size());
  Tokens out;
  out.truncated = ids.size() > room;
  if (out.truncated) ids.resize(room);
  out.ids.reserve(ids.size() + 2);
  out.ids.push_back(vocab_->bos());
  out.ids.insert(out.ids.end(), ids.begin(), ids.end());
  out.ids.push_back(vocab_->separator());
  return out;
}

}  // namespace payonce::embed
