// A GGUF file, mapped and checked: after open(), every tensor lies within the file.
// Threads: const methods any.  Lifetime: the views and pointers live as long as the object. A file that is cut short
// while it is mapped ends the process (SIGBUS), as with any mapped file: replace model files, do not overwrite them.
#pragma once

#include <gguf.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace payonce::engine {

class GgufFile {
 public:
  struct Tensor {
    std::string name;
    ggml_type type = GGML_TYPE_F32;
    int64_t shape[4] = {1, 1, 1, 1};  // innermost first, as ggml writes it
    const void* data = nullptr;       // in the mapping
    size_t bytes = 0;

    // Of a type whose rows can be read as numbers, and which every back end multiplies with F32.
    bool has_floats() const;
    void read_row(int64_t row, float* out) const;  // shape[0] numbers, where has_floats()
  };

  // kNotFound; kInvalid: damaged, truncated, another format, a part of a split model.
  static base::Result<std::unique_ptr<GgufFile>> open(const std::string& path);
  ~GgufFile();
  GgufFile(const GgufFile&) = delete;
  GgufFile& operator=(const GgufFile&) = delete;

  // A key's value, or `absent` when the file has no such key. kInvalid: the value has another type.
  base::Result<int64_t> integer(const std::string& key, int64_t absent) const;
  base::Result<float> real(const std::string& key, float absent) const;
  base::Result<bool> boolean(const std::string& key, bool absent) const;
  base::Result<std::string> text(const std::string& key, const std::string& absent) const;
  // An array of bools or integers; empty when there is no such key or it is not an array.
  base::Result<std::vector<int64_t>> integers(const std::string& key) const;
  bool has(const std::string& key) const;
  const gguf_context* keys() const { return keys_; }

  const Tensor* find(const std::string& name) const;  // null: not there
  const std::vector<Tensor>& tensors() const { return tensors_; }

  const std::string& path() const { return path_; }
  // "PATH: what", kInvalid: for who reads the file's contents.
  tl::unexpected<base::Error> invalid(const std::string& what) const;
  std::string_view bytes() const { return bytes_; }
  // Names these weights without reading them all: SHA-256 over the file's size, its header (every key, the
  // vocabulary, names, shapes and types of the tensors) and 64 KiB of the weights at each of 256 even steps. Files
  // that differ in a few bytes elsewhere get the same digest; a re-quantised, fine-tuned or converted model does not.
  std::string digest() const;
  // Gives the memory of the pages read so far back to the system, which has them still; a later read finds them
  // again.
  void release_pages() const;

 private:
  GgufFile() = default;
  base::Status map();
  base::Status read();

  std::string path_;
  std::string_view bytes_;
  gguf_context* keys_ = nullptr;
  std::vector<Tensor> tensors_;
};

}  // namespace payonce::engine
