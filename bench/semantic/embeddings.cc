// Layout, little endian: "PYEMB001", i64 texts, i64 tokens, i64 text bytes, i64 offsets of texts (+1), i64 offsets of
// tokens (+1), the texts, float vectors [texts][384], int32 token ids, float token scales, int8 token vectors [384].
#include "semantic/embeddings.h"

#include <fmt/format.h>

#include <cstring>
#include <fstream>
#include <sstream>

namespace payonce::bench {
namespace {

constexpr size_t kDimensions = 384;
constexpr std::string_view kMagic = "PYEMB001";

}  // namespace

base::Result<EmbeddingFile> EmbeddingFile::open(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return base::fail(base::Code::kNotFound, fmt::format("{}: cannot be read", path));
  std::stringstream stream;
  stream << in.rdbuf();
  const std::string bytes = std::move(stream).str();
  int64_t counts[3];
  if (!bytes.starts_with(kMagic) || bytes.size() < kMagic.size() + sizeof counts)
    return base::fail(base::Code::kCorrupt, fmt::format("{}: not a file of embeddings", path));
  std::memcpy(counts, bytes.data() + kMagic.size(), sizeof counts);
  const auto texts = static_cast<size_t>(counts[0]), tokens = static_cast<size_t>(counts[1]);
  const auto text_bytes = static_cast<size_t>(counts[2]);
  const size_t expected = kMagic.size() + sizeof counts + 16 * (texts + 1) + text_bytes + 4 * kDimensions * texts +
                          (8 + kDimensions) * tokens;
  if (bytes.size() != expected)
    return base::fail(base::Code::kCorrupt, fmt::format("{}: {} bytes, expected {}", path, bytes.size(), expected));
  const char* at = bytes.data() + kMagic.size() + sizeof counts;
  const auto take = [&at](auto& out, size_t count) {
    out.resize(count);
    const size_t size = count * sizeof out[0];
    std::memcpy(out.data(), at, size);
    at += size;
  };
  std::vector<int64_t> text_at, token_at;
  take(text_at, texts + 1);
  take(token_at, texts + 1);
  const char* text = at;
  at += text_bytes;
  std::vector<float> vectors, scales;
  std::vector<int32_t> ids;
  std::vector<int8_t> values;
  take(vectors, texts * kDimensions);
  take(ids, tokens);
  take(scales, tokens);
  take(values, tokens * kDimensions);
  EmbeddingFile out;
  for (size_t i = 0; i < texts; ++i) {
    embed::Embedding& embedding =
        out.of_[std::string(text + text_at[i], static_cast<size_t>(text_at[i + 1] - text_at[i]))];
    embedding.vector.assign(vectors.begin() + static_cast<ptrdiff_t>(i * kDimensions),
                            vectors.begin() + static_cast<ptrdiff_t>((i + 1) * kDimensions));
    for (auto token = static_cast<size_t>(token_at[i]); token < static_cast<size_t>(token_at[i + 1]); ++token) {
      embedding.token_ids.push_back(ids[token]);
      for (size_t d = 0; d < kDimensions; ++d)
        embedding.token_vectors.push_back(static_cast<float>(values[token * kDimensions + d]) * scales[token]);
    }
  }
  return out;
}

const embed::Embedding* EmbeddingFile::find(const std::string& text) const {
  const auto found = of_.find(text);
  return found == of_.end() ? nullptr : &found->second;
}

}  // namespace payonce::bench
