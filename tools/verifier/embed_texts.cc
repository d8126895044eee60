// Texts to the file of embeddings that training reads (embeddings.py says what is in it), by the embedder that
// serves.
//
//   payonce_embed_texts MODEL.gguf OUT < TEXTS.jsonl       each line a JSON string
#include <simdjson.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <mutex>
#include <string>
#include <vector>

#include "embed/local_embedder.h"
#include "semantic/verifier/tokens.h"

namespace {

using namespace payonce;

constexpr size_t kInFlight = 512;
constexpr int kThreads = 2;

struct Row {
  std::vector<float> vector;
  semantic::Tokens tokens;
};

[[noreturn]] void fail(const std::string& message) {
  std::cerr << "payonce_embed_texts: " << message << '\n';
  std::exit(1);
}

std::vector<std::string> read_texts() {
  std::vector<std::string> out;
  simdjson::dom::parser parser;
  for (std::string line; std::getline(std::cin, line);)
    out.emplace_back(std::string_view(parser.parse(line).get_string()));
  return out;
}

std::vector<Row> embed_all(embed::Embedder& embedder, const std::vector<std::string>& texts) {
  std::vector<Row> rows(texts.size());
  std::mutex mutex;
  std::condition_variable changed;
  size_t done = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return i - done < kInFlight; });
    }
    const auto status = embedder.embed(texts[i], [&, i](base::Result<embed::Embedding> result) {
      if (!result) fail(texts[i] + ": " + result.error().message);
      Row row{.vector = std::move(result->vector), .tokens = semantic::quantise(*result)};
      const std::lock_guard lock(mutex);
      rows[i] = std::move(row);
      ++done;
      changed.notify_one();
    });
    if (!status) fail(status.error().message);
  }
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return done == texts.size(); });
  return rows;
}

class Writer {
 public:
  explicit Writer(const char* path) : file_(path, std::ios::binary) {}
  template <typename T>
  void put(const std::vector<T>& values) {
    file_.write(reinterpret_cast<const char*>(values.data()),
                static_cast<std::streamsize>(values.size() * sizeof(T)));
  }
  void put(std::string_view bytes) { file_.write(bytes.data(), static_cast<std::streamsize>(bytes.size())); }
  bool ok() { return file_.flush().good(); }

 private:
  std::ofstream file_;
};

void write(const char* path, const std::vector<std::string>& texts, const std::vector<Row>& rows) {
  std::vector<int64_t> text_offsets = {0};
  std::vector<int64_t> token_offsets = {0};
  for (size_t i = 0; i < texts.size(); ++i) {
    text_offsets.push_back(text_offsets.back() + static_cast<int64_t>(texts[i].size()));
    token_offsets.push_back(token_offsets.back() + static_cast<int64_t>(rows[i].tokens.count()));
  }
  Writer writer(path);
  writer.put("PYEMB001");
  writer.put(std::vector<int64_t>{static_cast<int64_t>(texts.size()), token_offsets.back(), text_offsets.back()});
  writer.put(text_offsets);
  writer.put(token_offsets);
  for (const std::string& text : texts) writer.put(text);
  for (const Row& row : rows) writer.put(row.vector);
  for (const Row& row : rows) writer.put(row.tokens.ids);
  for (const Row& row : rows) writer.put(row.tokens.scales);
  for (const Row& row : rows) writer.put(row.tokens.vectors);
  if (!writer.ok()) fail(std::string(path) + ": cannot be written");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) fail("usage: payonce_embed_texts MODEL.gguf OUT < TEXTS.jsonl");
  auto embedder = embed::LocalEmbedder::make({.file = argv[1], .threads = kThreads, .queue_limit = 2 * kInFlight});
  if (!embedder) fail(embedder.error().message);
  const std::vector<std::string> texts = read_texts();
  write(argv[2], texts, embed_all(**embedder, texts));
  return 0;
}
