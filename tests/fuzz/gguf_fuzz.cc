// A model file of any bytes: refused, or every tensor lies within it; the same for the embedder's, whose numbers are
// then ones that it computes.
#include <cstdio>
#include <string>

#include "base/scratch_file.h"
#include "embed/bert_file.h"
#include "engine/model/gguf_file.h"
#include "engine/model/gguf_scan.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace payonce;
  const std::string_view bytes = fuzz::text(data, size);
  if (!engine::scan_gguf_header(bytes)) return 0;
  static const base::ScratchFile scratch;
  std::FILE* file = std::fopen(scratch.path().c_str(), "wb");
  PAYONCE_FUZZ_CHECK(file != nullptr && std::fwrite(data, 1, size, file) == size && std::fclose(file) == 0);
  const auto opened = engine::GgufFile::open(scratch.path());
  if (!opened) return 0;
  for (const auto& tensor : (*opened)->tensors()) {
    const auto* begin = static_cast<const char*>(tensor.data);
    PAYONCE_FUZZ_CHECK(begin >= (*opened)->bytes().data() &&
                       begin + tensor.bytes <= (*opened)->bytes().data() + (*opened)->bytes().size());
  }
  (void)(*opened)->digest();
  const auto embedder = embed::BertFile::open(scratch.path());
  if (!embedder) return 0;
  PAYONCE_FUZZ_CHECK(embedder->shape.width > 0 && embedder->shape.heads > 0 && embedder->shape.max_tokens > 0);
  PAYONCE_FUZZ_CHECK(embedder->layers.size() == static_cast<size_t>(embedder->shape.layers));
  return 0;
}
