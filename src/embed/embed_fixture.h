// The embedder's file, and what the reference computes with it. For tests only.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "embed/base64.h"
#include "embed/bert.h"
#include "embed/word_pieces.h"
#include "engine/model/test_models.h"
#include "source_tree/source_tree.h"

namespace payonce::embed {

inline std::string minilm() { return engine::cached_model("PAYONCE_EMBEDDER", "all-MiniLM-L6-v2.gguf"); }

// Without the file a test is skipped; not in CI, which fetches it.
#define PAYONCE_NEEDS_EMBEDDER()                                                    \
  do {                                                                              \
    if (minilm().empty() && std::getenv("CI")) FAIL() << "the embedder is missing"; \
    if (minilm().empty()) GTEST_SKIP() << "no embedder; run: ./dev test";           \
  } while (false)

struct Golden {
  std::string text;
  std::vector<int32_t> ids;
  bool truncated = false;
  std::vector<float> vector;
  std::vector<float> token_vectors;  // of a few texts
};

// As tools/golden_embeddings.py wrote them.
inline std::vector<Golden> golden_embeddings() {
  std::vector<Golden> out;
  std::ifstream file(source_tree::path("tests/data/golden_embeddings/all-MiniLM-L6-v2.jsonl"));
  for (std::string line; std::getline(file, line);) {
    const boost::json::value row = boost::json::parse(line);
    Golden& golden = out.emplace_back();
    golden.text = row.at("text").as_string();
    golden.ids = boost::json::value_to<std::vector<int32_t>>(row.at("ids"));
    golden.truncated = row.at("truncated").as_bool();
    golden.vector = floats_of_base64(row.at("vector").as_string()).value();
    const auto* tokens = row.as_object().if_contains("token_vectors");
    if (tokens) golden.token_vectors = floats_of_base64(tokens->as_string()).value();
  }
  return out;
}

inline float worst_difference(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return INFINITY;
  float worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::fabs(a[i] - b[i]));
  return worst;
}

inline std::unique_ptr<Bert> load_bert(const std::string& path, const Kernels& kernels = best_kernels()) {
  auto file = BertFile::open(path);
  EXPECT_TRUE(file.has_value()) << file.error().message;
  if (!file) return nullptr;
  auto bert = Bert::load(*std::move(file), kernels);
  EXPECT_TRUE(bert.has_value()) << bert.error().message;
  return bert ? *std::move(bert) : nullptr;
}

inline std::unique_ptr<WordPieces> load_word_pieces(const std::string& path, const BertShape& shape) {
  auto pieces = WordPieces::load(path, shape.vocab, shape.max_tokens);
  EXPECT_TRUE(pieces.has_value()) << pieces.error().message;
  return pieces ? *std::move(pieces) : nullptr;
}

}  // namespace payonce::embed
