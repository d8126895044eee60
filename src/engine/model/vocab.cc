#include "engine/model/vocab.h"

#include <fmt/format.h>
#include <llama.h>

#include <exception>
#include <limits>

#include "base/utf8.h"
#include "engine/model/architecture.h"
#include "engine/model/gguf_file.h"
#include "engine/model/library_log.h"
#include "engine/model/token_tree.h"
#include "engine/model/vocab_check.h"

namespace payonce::engine {

namespace {

constexpr int64_t kBertUnknown = 100;      // libllama's default for [UNK], which it does not tell
constexpr size_t kMaxTextBytes = 1 << 30;  // libllama counts in int32

base::Status check_utf8(std::string_view text) {
  for (size_t place = 0; place < text.size();) {
    const size_t length = base::character_size(text.substr(place));
    if (length == 0)
      return base::fail(base::Code::kInvalid, fmt::format("the text is not UTF-8 (at byte {})", place));
    place += length;
  }
  return {};
}

}  // namespace

base::Result<std::unique_ptr<Vocab>> Vocab::load(const std::string& gguf_file) {
  int64_t unknown = -1;
  {
    PAYONCE_TRY(const auto file, GgufFile::open(gguf_file));
    PAYONCE_TRY(const std::string architecture, file->text("general.architecture", ""));
    // libllama has paths of its own for others.
    if (architecture != "bert") PAYONCE_CHECK_OK(find_architecture(*file));
    PAYONCE_CHECK_OK(check_tokenizer(*file));
    PAYONCE_TRY(unknown, file->integer("tokenizer.ggml.unknown_token_id", kBertUnknown));
  }
  const LibraryErrors errors;
  llama_model_params params = llama_model_default_params();
  params.vocab_only = true;
  llama_model* model = nullptr;
  std::string what;
  try {
    model = llama_model_load_from_file(gguf_file.c_str(), params);
  } catch (const std::exception& error) {
    what = error.what();
  }
  if (!model) {
    const std::string reason = what.empty() ? errors.first() : what;
    return base::fail(base::Code::kInvalid, fmt::format("{}: vocabulary: {}", gguf_file, reason));
  }
  std::unique_ptr<Vocab> vocab(new Vocab(model));
  const auto* handle = vocab->llama_vocab_handle();
  const bool no_bos = llama_vocab_get_add_bos(handle) && llama_vocab_bos(handle) == LLAMA_TOKEN_NULL;
  const bool no_eos = llama_vocab_get_add_eos(handle) && llama_vocab_eos(handle) == LLAMA_TOKEN_NULL;
  if (no_bos || no_eos) {
    return base::fail(base::Code::kInvalid,
                      gguf_file + ": the tokenizer adds a BOS or EOS token that it does not have");
  }
  if (vocab->is_word_piece()) {
    vocab->unknown_ = unknown >= 0 && unknown < vocab->size() ? static_cast<int32_t>(unknown) : -1;
    if (vocab->bos() < 0 || vocab->separator() < 0 || vocab->unknown_ < 0) {
      return base::fail(base::Code::kInvalid, gguf_file + ": the vocabulary has no [CLS], [SEP] or [UNK]");
    }
  }
  return vocab;
}

Vocab::Vocab(llama_model* model) : model_(model) {}
Vocab::~Vocab() { llama_model_free(model_); }

const llama_vocab* Vocab::llama_vocab_handle() const { return llama_model_get_vocab(model_); }

base::Result<std::vector<int32_t>> Vocab::tokenize(std::string_view text, bool add_special,
                                                   bool parse_special) const {
  if (text.size() > kMaxTextBytes) return base::fail(base::Code::kTooLarge, "the text is longer than 1 GiB");
  PAYONCE_CHECK_OK(check_utf8(text));
  // A token covers a byte at least; besides BOS and EOS a tokenizer may put a space in front of each piece of text
  // between special tokens, so a second call may be needed.
  std::vector<int32_t> tokens(text.size() + 16);
  const auto length = static_cast<int32_t>(text.size());
  try {
    for (int attempt = 0; attempt < 2; ++attempt) {
      const int32_t count = llama_tokenize(llama_vocab_handle(), text.data(), length, tokens.data(),
                                           static_cast<int32_t>(tokens.size()), add_special, parse_special);
      if (count == std::numeric_limits<int32_t>::min()) break;
      tokens.resize(static_cast<size_t>(count < 0 ? -count : count));
      if (count >= 0) return tokens;
    }
  } catch (const std::exception& error) {
    return base::fail(base::Code::kInvalid, fmt::format("the text cannot be tokenized: {}", error.what()));
  }
  return base::fail(base::Code::kInternal, "the tokenizer gave no tokens");
}

std::string Vocab::piece(int32_t token, bool special) const {
  if (token < 0 || token >= size()) return {};
  std::string out(32, '\0');
  for (int attempt = 0; attempt < 2; ++attempt) {
    const int32_t length =
        llama_token_to_piece(llama_vocab_handle(), token, out.data(), static_cast<int32_t>(out.size()), 0, special);
    out.resize(static_cast<size_t>(length < 0 ? -length : length));
    if (length >= 0) return out;
  }
  return {};
}

std::string Vocab::text(std::span<const int32_t> tokens) const {
  std::string out;
  for (const int32_t token : tokens) out += piece(token);
  return out;
}

int32_t Vocab::size() const { return llama_vocab_n_tokens(llama_vocab_handle()); }

bool Vocab::is_end(int32_t token) const {
  return token >= 0 && token < size() && llama_vocab_is_eog(llama_vocab_handle(), token);
}

int32_t Vocab::bos() const { return llama_vocab_bos(llama_vocab_handle()); }
int32_t Vocab::eos() const { return llama_vocab_eos(llama_vocab_handle()); }

bool Vocab::is_word_piece() const { return llama_vocab_type(llama_vocab_handle()) == LLAMA_VOCAB_TYPE_WPM; }
int32_t Vocab::separator() const { return llama_vocab_sep(llama_vocab_handle()); }
int32_t Vocab::unknown() const { return unknown_; }
bool Vocab::is_control(int32_t token) const { return llama_vocab_is_control(llama_vocab_handle(), token); }
std::string_view Vocab::stored_text(int32_t token) const {
  return token < 0 || token >= size() ? "" : llama_vocab_get_text(llama_vocab_handle(), token);
}

const TokenTree& Vocab::token_tree() const {
  std::call_once(tree_made_, [this] {
    std::vector<std::string> pieces(static_cast<size_t>(size()));
    std::vector<int32_t> ends;
    for (int32_t token = 0; token < size(); ++token) {
      pieces[static_cast<size_t>(token)] = piece(token, true);
      if (is_end(token)) ends.push_back(token);
    }
    tree_ = std::make_unique<const TokenTree>(TokenTree::make(pieces, ends));
  });
  return *tree_;
}

}  // namespace payonce::engine
