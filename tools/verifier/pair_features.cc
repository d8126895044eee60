// The verifier's features for training, computed by the code that serves: pairs in, numbers out.
//
//   payonce_pair_features --names                        name and sign of each feature, one a line
//   payonce_pair_features [--model FILE] EMBEDDINGS… < PAIRS.jsonl > ROWS
//
// A pair is {"a": text, "b": text, "cosine": number, "others": [[cosine, 1 for a's answer or 0]…] or null}: a is the
// cached question, others are the entries near b beside a. A row is the features as float32, then the conflict's
// number and, with a model, its logit. EMBEDDINGS are files of embeddings.py; a text without one has no tokens.
#include <fcntl.h>
#include <simdjson.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <iostream>
#include <optional>
#include <string>
#include <unordered_map>

#include "semantic/verifier/verifier.h"

namespace {

using namespace payonce::semantic;

constexpr std::string_view kMagic = "PYEMB001";

// One file of texts with their quantised token vectors, mapped.
class Embeddings {
 public:
  explicit Embeddings(const char* path) {
    const int file = ::open(path, O_RDONLY);
    struct stat about{};
    if (file < 0 || ::fstat(file, &about) != 0) throw std::runtime_error(std::string(path) + ": cannot be read");
    const void* mapped = ::mmap(nullptr, static_cast<size_t>(about.st_size), PROT_READ, MAP_PRIVATE, file, 0);
    ::close(file);
    if (mapped == MAP_FAILED) throw std::runtime_error(std::string(path) + ": cannot be mapped");
    at_ = static_cast<const char*>(mapped);
    if (std::string_view(take(kMagic.size()), kMagic.size()) != kMagic) throw std::runtime_error("not embeddings");
    const auto texts = static_cast<size_t>(number());
    const auto tokens = static_cast<size_t>(number());
    const auto text_bytes = static_cast<size_t>(number());
    const char* text_offsets = take((texts + 1) * 8);
    token_offsets_ = take((texts + 1) * 8);
    const char* bytes = take(text_bytes);
    (void)take(texts * kWidth * 4);
    ids_ = take(tokens * 4);
    scales_ = take(tokens * 4);
    vectors_ = take(tokens * kWidth);
    for (size_t i = 0; i < texts; ++i) {
      const auto begin = offset(text_offsets, i);
      index_.emplace(std::string_view(bytes + begin, offset(text_offsets, i + 1) - begin), i);
    }
  }

  std::optional<Tokens> tokens_of(std::string_view text) const {
    const auto found = index_.find(text);
    if (found == index_.end()) return std::nullopt;
    const size_t begin = offset(token_offsets_, found->second);
    const size_t count = offset(token_offsets_, found->second + 1) - begin;
    Tokens out{.width = kWidth};
    out.ids.resize(count);
    out.scales.resize(count);
    out.vectors.resize(count * kWidth);
    std::memcpy(out.ids.data(), ids_ + begin * 4, count * 4);
    std::memcpy(out.scales.data(), scales_ + begin * 4, count * 4);
    std::memcpy(out.vectors.data(), vectors_ + begin * kWidth, count * kWidth);
    return out;
  }

 private:
  static constexpr int kWidth = 384;
  const char* take(size_t size) { return std::exchange(at_, at_ + size); }
  int64_t number() {
    int64_t out = 0;
    std::memcpy(&out, take(8), 8);
    return out;
  }
  static size_t offset(const char* offsets, size_t i) {
    int64_t out = 0;
    std::memcpy(&out, offsets + i * 8, 8);
    return static_cast<size_t>(out);
  }

  const char* at_ = nullptr;
  const char* token_offsets_ = nullptr;
  const char* ids_ = nullptr;
  const char* scales_ = nullptr;
  const char* vectors_ = nullptr;
  std::unordered_map<std::string_view, size_t> index_;
};

class Rows {
 public:
  Rows(std::vector<Embeddings> files, std::optional<Verifier> verifier)
      : files_(std::move(files)), verifier_(std::move(verifier)) {}

  void write(std::string_view line) {
    auto pair = parser_.parse(line.data(), line.size());
    const Question& a = question(std::string_view(pair["a"]));
    const Question& b = question(std::string_view(pair["b"]));
    Neighbourhood near{.cosine = static_cast<float>(double(pair["cosine"]))};
    simdjson::dom::array listed;
    if (pair["others"].get_array().get(listed) == simdjson::SUCCESS) {
      std::vector<Other> others;
      for (const auto other : listed)
        others.push_back({.cosine = static_cast<float>(double(other.at(0))), .same_answer = double(other.at(1)) > 0});
      near = neighbourhood(near.cosine, others);
    }
    const Difference apart = difference(a.text, b.text);
    const Features row = features(a, b, near, apart);
    const float tail[] = {static_cast<float>(conflict(a.text, b.text, apart)),
                          verifier_ ? static_cast<float>(verifier_->logit(row)) : 0.0f};
    (void)std::fwrite(row.data(), sizeof(float), row.size(), stdout);
    (void)std::fwrite(tail, sizeof(float), std::size(tail), stdout);
  }

 private:
  const Question& question(std::string_view text) {
    const auto found = known_.find(std::string(text));
    if (found != known_.end()) return found->second;
    Question out{.text = analyse(text), .tokens = {}};
    for (const Embeddings& file : files_)
      if (auto tokens = file.tokens_of(text)) out.tokens = *tokens;
    return known_.emplace(text, std::move(out)).first->second;
  }

  simdjson::dom::parser parser_;
  std::vector<Embeddings> files_;
  std::optional<Verifier> verifier_;
  std::unordered_map<std::string, Question> known_;
};

}  // namespace

int main(int argc, char** argv) {
  std::optional<Verifier> verifier;
  std::vector<Embeddings> files;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--names") {
      for (const FeatureInfo& feature : kFeatures) std::cout << feature.name << ' ' << feature.sign << '\n';
      return 0;
    }
    if (argument == "--model" && i + 1 < argc) {
      auto loaded = Verifier::load(argv[++i]);
      if (!loaded) {
        std::cerr << loaded.error().message << '\n';
        return 1;
      }
      verifier = std::move(*loaded);
      continue;
    }
    files.emplace_back(argv[i]);
  }
  Rows rows(std::move(files), std::move(verifier));
  for (std::string line; std::getline(std::cin, line);) rows.write(line);
  return 0;
}
