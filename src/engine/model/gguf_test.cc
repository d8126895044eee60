// Files that are not what they should be: cut, changed, or of another kind. Each gives an error that says why, or a
// model that computes; nothing ends the process.
#include <gmock/gmock.h>

#include <fstream>
#include <functional>
#include <sstream>

#include "engine/model/model_fixture.h"
#include "engine/model/vocab.h"

namespace payonce::engine {
namespace {

using testing::HasSubstr;

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// GPT-2's writing of a byte as a printable character.
std::string byte_token(int byte) {
  const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
  int code = byte;
  if (!printable) {
    code = 256;
    for (int i = 0; i < byte; ++i) code += !((i >= '!' && i <= '~') || (i >= 0xA1 && i <= 0xAC) || i >= 0xAE);
  }
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
}

// A tokenizer of 256 bytes, two merges and an end.
void add_tokenizer(gguf_context* keys) {
  std::vector<std::string> tokens;
  for (int i = 0; i < 256; ++i) tokens.push_back(byte_token(i));
  for (const char* each : {"th", "the", "<|im_end|>"}) tokens.emplace_back(each);
  std::vector<const char*> texts;
  for (const std::string& each : tokens) texts.push_back(each.c_str());
  std::vector<int32_t> types(tokens.size(), 1);
  types.back() = 3;
  const char* merges[] = {"t h", "th e"};
  gguf_set_val_str(keys, "tokenizer.ggml.model", "gpt2");
  gguf_set_val_str(keys, "tokenizer.ggml.pre", "gpt-2");
  gguf_set_arr_str(keys, "tokenizer.ggml.tokens", texts.data(), texts.size());
  gguf_set_arr_data(keys, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, types.data(), types.size());
  gguf_set_arr_str(keys, "tokenizer.ggml.merges", merges, 2);
  gguf_set_val_u32(keys, "tokenizer.ggml.eos_token_id", 258);
  gguf_set_val_u32(keys, "tokenizer.ggml.bos_token_id", 258);
}

class Damaged : public testing::Test {
 protected:
  void SetUp() override {
    RandomShape shape = random_shape("llama-tiny");
    shape.width = 32;
    shape.ffn_width = 32;
    model_ = std::make_unique<RandomModel>(shape, 1, 259);
    add_tokenizer(model_->gguf());
    model_->write(file_.path());
    good_ = read_file(file_.path());
    header_bytes_ = gguf_get_meta_size(model_->gguf());
  }

  base::Error model_error() {
    const auto model = Model::load(file_.path(), {.threads = 1, .full_blocks = 2});
    return model ? base::Error{base::Code::kInternal, "loaded"} : model.error();
  }

  void change(const std::function<void(gguf_context*)>& how) {
    RandomModel changed(random_shape("llama-tiny"), 1, 259);
    add_tokenizer(changed.gguf());
    how(changed.gguf());
    changed.write(file_.path());
  }

  // What a file that may be damaged must survive.
  void use() {
    const auto model = Model::load(file_.path(), {.threads = 1, .full_blocks = 2});
    if (model) {
      const std::vector<int32_t> table = {1, 0};
      const Batch batch{
          .tokens = {1, 0, 1}, .full = {{0, 3, 0, table}}, .sliding = {{0, 3, 0, table}}, .output_rows = {2}};
      (void)(*model)->compute(batch);
      ++loaded_;
    } else {
      EXPECT_EQ(model.error().code, base::Code::kInvalid) << model.error().message;
      EXPECT_THAT(model.error().message, HasSubstr(file_.path()));
    }
    const auto vocab = Vocab::load(file_.path());
    if (vocab) {
      if (const auto tokens = (*vocab)->tokenize("the cat\n", true, true)) (void)(*vocab)->text(*tokens);
    } else {
      EXPECT_EQ(vocab.error().code, base::Code::kInvalid) << vocab.error().message;
    }
  }

  ScratchFile file_;
  std::unique_ptr<RandomModel> model_;
  std::string good_;
  size_t header_bytes_ = 0;
  int loaded_ = 0;
};

TEST_F(Damaged, TheUndamagedFileLoads) {
  use();
  EXPECT_EQ(loaded_, 1);
  const auto vocab = Vocab::load(file_.path());
  ASSERT_TRUE(vocab.has_value()) << vocab.error().message;
  EXPECT_EQ((*vocab)->tokenize("the", false, false)->size(), 1U);
  EXPECT_EQ((*vocab)->eos(), 258);
}

TEST_F(Damaged, NoFileIsNotFoundAndADirectoryIsNoModel) {
  EXPECT_EQ(Model::probe(file_.path() + ".none", KvType::kF16).error().code, base::Code::kNotFound);
  EXPECT_EQ(Vocab::load(file_.path() + ".none").error().code, base::Code::kNotFound);
  const auto directory = Model::probe(std::filesystem::temp_directory_path().string(), KvType::kF16);
  ASSERT_FALSE(directory.has_value());
  EXPECT_EQ(directory.error().code, base::Code::kInvalid);
}

TEST_F(Damaged, EveryCutIsAnError) {
  for (size_t length = 0; length < good_.size(); length += length < header_bytes_ ? 13 : 4099) {
    write_file(file_.path(), good_.substr(0, length));
    const base::Error error = model_error();
    ASSERT_EQ(error.code, base::Code::kInvalid) << length << " " << error.message;
    EXPECT_FALSE(Vocab::load(file_.path()).has_value());
  }
  write_file(file_.path(), good_.substr(0, good_.size() - 64));
  EXPECT_THAT(model_error().message, HasSubstr("truncated: tensor 'blk.0.ffn_down.weight'"));
}

TEST_F(Damaged, ChangedHeaderBytesAreErrorsOrHarmless) {
  uint32_t state = 12345;
  for (size_t place = 0; place < header_bytes_; place += 1 + state % 7) {
    std::string bytes = good_;
    state = state * 1664525U + 1013904223U;
    const uint8_t changes[] = {0x01, 0x80, 0xFF, static_cast<uint8_t>(state >> 24)};
    bytes[place] = static_cast<char>(static_cast<uint8_t>(bytes[place]) ^ changes[state >> 8 & 3]);
    write_file(file_.path(), bytes);
    SCOPED_TRACE(place);
    use();
  }
  EXPECT_GT(loaded_, 0);
}

TEST_F(Damaged, AbsurdNumbersAreErrors) {
  // Eight bytes of 0xFF, and of a large but plausible count, over every eighth place of the header.
  for (const char fill : {'\xff', '\x7f', '\x10'}) {
    for (size_t place = 4; place + 8 < header_bytes_; place += 8) {
      std::string bytes = good_;
      bytes.replace(place, 8, 8, fill);
      write_file(file_.path(), bytes);
      SCOPED_TRACE(place);
      use();
    }
  }
}

TEST_F(Damaged, WhatIsNoGgufFileIsSaidToBeNone) {
  write_file(file_.path(), std::string(1000, 'x'));
  EXPECT_THAT(model_error().message, HasSubstr("not a GGUF file"));
  std::string other = good_;
  other[4] = 9;
  write_file(file_.path(), other);
  EXPECT_THAT(model_error().message, HasSubstr("version 9"));
}

TEST_F(Damaged, AnUnknownArchitectureIsNamedWithTheKnownOnes) {
  change([](gguf_context* keys) { gguf_set_val_str(keys, "general.architecture", "mamba"); });
  const base::Error error = model_error();
  EXPECT_EQ(error.code, base::Code::kInvalid);
  EXPECT_THAT(error.message, HasSubstr("'mamba' is not supported (known: llama, qwen2, qwen3, gemma3)"));
  EXPECT_THAT(Vocab::load(file_.path()).error().message, HasSubstr("mamba"));
}

TEST_F(Damaged, WhatTheGraphCannotServeIsNamed) {
  const std::pair<std::function<void(gguf_context*)>, const char*> cases[] = {
      {[](gguf_context* keys) { gguf_set_val_u32(keys, "llama.block_count", 2); },
       "'blk.1.attn_norm.weight' is missing"},
      {[](gguf_context* keys) { gguf_remove_key(keys, "llama.block_count"); }, "'llama.block_count' is missing"},
      {[](gguf_context* keys) { gguf_set_val_u32(keys, "llama.attention.head_count", 3); }, "do not divide"},
      {[](gguf_context* keys) { gguf_set_val_u32(keys, "llama.embedding_length", 96); },
       "is [64, 259], expected [96, 259]"},
      {[](gguf_context* keys) { gguf_set_val_u32(keys, "llama.expert_count", 8); }, "mixture of experts"},
      {[](gguf_context* keys) { gguf_set_val_str(keys, "llama.rope.scaling.type", "longrope"); }, "'longrope'"},
      {[](gguf_context* keys) { gguf_set_val_f32(keys, "llama.block_count", 1); }, "expected an integer"},
      {[](gguf_context* keys) { gguf_set_val_u16(keys, "split.count", 3); }, "one of 3 parts"},
      {[](gguf_context* keys) { gguf_set_tensor_type(keys, "output_norm.weight", GGML_TYPE_F16); }, "type f16"},
  };
  for (const auto& [how, message] : cases) {
    change(how);
    const base::Error error = model_error();
    EXPECT_EQ(error.code, base::Code::kInvalid);
    EXPECT_THAT(error.message, HasSubstr(message));
  }
}

TEST_F(Damaged, WhatLibllamaWouldAbortOnIsAnError) {
  const std::pair<std::function<void(gguf_context*)>, const char*> cases[] = {
      {[](gguf_context* keys) { gguf_set_val_str(keys, "tokenizer.ggml.model", "no_vocab"); }, "'no_vocab'"},
      {[](gguf_context* keys) { gguf_remove_key(keys, "tokenizer.ggml.model"); }, "no tokenizer"},
      {[](gguf_context* keys) { gguf_remove_key(keys, "tokenizer.ggml.tokens"); }, "no vocabulary"},
      {[](gguf_context* keys) { gguf_remove_key(keys, "tokenizer.ggml.merges"); }, "no merges"},
      {[](gguf_context* keys) {
         const char* twice[] = {"a", "a", "b"};
         gguf_set_arr_str(keys, "tokenizer.ggml.tokens", twice, 3);
       },
       "repeats"},
      {[](gguf_context* keys) {
         const int32_t few[] = {1, 1};
         gguf_set_arr_data(keys, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, few, 2);
       },
       "259 tokens"},
  };
  for (const auto& [how, message] : cases) {
    change(how);
    const auto vocab = Vocab::load(file_.path());
    ASSERT_FALSE(vocab.has_value()) << message;
    EXPECT_THAT(vocab.error().message, HasSubstr(message));
  }
}

TEST_F(Damaged, TheDigestNamesWeightsAndHeader) {
  const auto digest = [&] { return Model::probe(file_.path(), KvType::kF16)->info.digest; };
  const std::string first = digest();
  EXPECT_EQ(digest(), first);
  std::string other = good_;
  other[other.size() - 40] ^= 1;
  write_file(file_.path(), other);
  EXPECT_NE(digest(), first);
  change([](gguf_context* keys) { gguf_set_val_f32(keys, "llama.rope.freq_base", 20000); });
  EXPECT_NE(digest(), first);
}

}  // namespace
}  // namespace payonce::engine
