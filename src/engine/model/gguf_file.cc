#include "engine/model/gguf_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

#include "base/hash.h"
#include "engine/model/gguf_scan.h"
#include "engine/model/library_log.h"

namespace payonce::engine {

namespace {

constexpr size_t kSampleBytes = 64 << 10;
constexpr size_t kSamples = 256;
constexpr size_t kMinAlignmentBytes = 8;  // less would leave F32 tensors misaligned

auto wrong_type(const GgufFile& file, const std::string& key, const char* expected, gguf_type found) {
  return file.invalid(fmt::format("key '{}' is of type {}, expected {}", key, gguf_type_name(found), expected));
}

}  // namespace

tl::unexpected<base::Error> GgufFile::invalid(const std::string& what) const {
  return base::fail(base::Code::kInvalid, fmt::format("{}: {}", path_, what));
}

// Q8_1 and Q8_K are for activations alone, NVFP4 needs a scale beside each matrix.
bool GgufFile::Tensor::has_floats() const {
  if (type == GGML_TYPE_F32 || type == GGML_TYPE_F16 || type == GGML_TYPE_BF16) return true;
  if (type == GGML_TYPE_Q8_1 || type == GGML_TYPE_Q8_K || type == GGML_TYPE_NVFP4) return false;
  return ggml_is_quantized(type) && ggml_get_type_traits(type)->to_float != nullptr;
}

void GgufFile::Tensor::read_row(int64_t row, float* out) const {
  const char* from = static_cast<const char*>(data) + static_cast<size_t>(row) * ggml_row_size(type, shape[0]);
  if (type == GGML_TYPE_F32) {
    std::memcpy(out, from, static_cast<size_t>(shape[0]) * sizeof(float));
  } else {
    ggml_get_type_traits(type)->to_float(from, out, shape[0]);
  }
}

base::Result<std::unique_ptr<GgufFile>> GgufFile::open(const std::string& path) {
  quiet_libraries();
  std::unique_ptr<GgufFile> file(new GgufFile);
  file->path_ = path;
  PAYONCE_CHECK_OK(file->map());
  PAYONCE_CHECK_OK(file->read());
  return file;
}

GgufFile::~GgufFile() {
  gguf_free(keys_);
  if (!bytes_.empty()) munmap(const_cast<char*>(bytes_.data()), bytes_.size());
}

base::Status GgufFile::map() {
  const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const base::Code code = errno == ENOENT || errno == ENOTDIR ? base::Code::kNotFound : base::Code::kInvalid;
    return base::fail(code, fmt::format("{}: {}", path_, std::strerror(errno)));
  }
  struct stat found{};
  void* mapping = MAP_FAILED;
  int error = 0;
  if (fstat(fd, &found) != 0) {
    error = errno;
  } else if (S_ISREG(found.st_mode) && found.st_size > 0) {
    mapping = mmap(nullptr, static_cast<size_t>(found.st_size), PROT_READ, MAP_SHARED, fd, 0);
    error = mapping == MAP_FAILED ? errno : 0;
  }
  close(fd);
  if (error) return invalid(std::strerror(error));
  if (mapping == MAP_FAILED) return invalid("not a regular file, or an empty one; expected a GGUF file");
  bytes_ = {static_cast<const char*>(mapping), static_cast<size_t>(found.st_size)};
  return {};
}

base::Status GgufFile::read() {
  if (auto scanned = scan_gguf_header(bytes_); !scanned) return invalid(scanned.error().message);
  const LibraryErrors errors;
  keys_ = gguf_init_from_buffer(bytes_.data(), bytes_.size(), {/*no_alloc=*/true, /*ctx=*/nullptr});
  if (!keys_) return invalid("damaged header: " + errors.first());
  if (gguf_get_alignment(keys_) < kMinAlignmentBytes) return invalid("tensors are not aligned to 8 bytes");
  PAYONCE_TRY(const int64_t parts, integer("split.count", 0));
  if (parts > 1) return invalid(fmt::format("one of {} parts of a split model; merge them first", parts));

  const uint64_t base_offset = gguf_get_data_offset(keys_);
  tensors_.reserve(static_cast<size_t>(gguf_get_n_tensors(keys_)));
  for (int64_t i = 0; i < gguf_get_n_tensors(keys_); ++i) {
    Tensor tensor;
    tensor.name = gguf_get_tensor_name(keys_, i);
    tensor.type = gguf_get_tensor_type(keys_, i);
    std::copy_n(gguf_get_tensor_ne(keys_, i), 4, tensor.shape);
    tensor.bytes = gguf_get_tensor_size(keys_, i);
    const uint64_t offset = base_offset + gguf_get_tensor_offset(keys_, i);
    if (offset > bytes_.size() || tensor.bytes > bytes_.size() - offset) {
      return invalid(fmt::format("truncated: tensor '{}' lies at bytes {} to {}, the file has {}", tensor.name,
                                 offset, offset + tensor.bytes, bytes_.size()));
    }
    tensor.data = bytes_.data() + offset;
    tensors_.push_back(std::move(tensor));
  }
  std::sort(tensors_.begin(), tensors_.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return {};
}

bool GgufFile::has(const std::string& key) const { return gguf_find_key(keys_, key.c_str()) >= 0; }

base::Result<int64_t> GgufFile::integer(const std::string& key, int64_t absent) const {
  const int64_t id = gguf_find_key(keys_, key.c_str());
  if (id < 0) return absent;
  switch (const gguf_type type = gguf_get_kv_type(keys_, id)) {
    case GGUF_TYPE_UINT8: return gguf_get_val_u8(keys_, id);
    case GGUF_TYPE_INT8: return gguf_get_val_i8(keys_, id);
    case GGUF_TYPE_UINT16: return gguf_get_val_u16(keys_, id);
    case GGUF_TYPE_INT16: return gguf_get_val_i16(keys_, id);
    case GGUF_TYPE_UINT32: return gguf_get_val_u32(keys_, id);
    case GGUF_TYPE_INT32: return gguf_get_val_i32(keys_, id);
    case GGUF_TYPE_INT64: return gguf_get_val_i64(keys_, id);
    case GGUF_TYPE_UINT64: {
      const uint64_t value = gguf_get_val_u64(keys_, id);
      if (value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return static_cast<int64_t>(value);
      return invalid(fmt::format("key '{}' is {}, too large", key, value));
    }
    default: return wrong_type(*this, key, "an integer", type);
  }
}

base::Result<float> GgufFile::real(const std::string& key, float absent) const {
  const int64_t id = gguf_find_key(keys_, key.c_str());
  if (id < 0) return absent;
  const gguf_type type = gguf_get_kv_type(keys_, id);
  if (type == GGUF_TYPE_FLOAT64) return static_cast<float>(gguf_get_val_f64(keys_, id));
  if (type != GGUF_TYPE_FLOAT32) return wrong_type(*this, key, "f32", type);
  return gguf_get_val_f32(keys_, id);
}

base::Result<bool> GgufFile::boolean(const std::string& key, bool absent) const {
  const int64_t id = gguf_find_key(keys_, key.c_str());
  if (id < 0) return absent;
  const gguf_type type = gguf_get_kv_type(keys_, id);
  if (type != GGUF_TYPE_BOOL) return wrong_type(*this, key, "bool", type);
  return gguf_get_val_bool(keys_, id);
}

base::Result<std::string> GgufFile::text(const std::string& key, const std::string& absent) const {
  const int64_t id = gguf_find_key(keys_, key.c_str());
  if (id < 0) return absent;
  const gguf_type type = gguf_get_kv_type(keys_, id);
  if (type != GGUF_TYPE_STRING) return wrong_type(*this, key, "str", type);
  return std::string(gguf_get_val_str(keys_, id));
}

base::Result<std::vector<int64_t>> GgufFile::integers(const std::string& key) const {
  const int64_t id = gguf_find_key(keys_, key.c_str());
  if (id < 0 || gguf_get_kv_type(keys_, id) != GGUF_TYPE_ARRAY) return std::vector<int64_t>{};
  const gguf_type type = gguf_get_arr_type(keys_, id);
  if (type != GGUF_TYPE_BOOL && type != GGUF_TYPE_INT32 && type != GGUF_TYPE_UINT32) {
    return wrong_type(*this, key, "bool, i32 or u32 (an array)", type);
  }
  std::vector<int64_t> out(gguf_get_arr_n(keys_, id));
  for (size_t i = 0; i < out.size(); ++i) {
    const void* items = gguf_get_arr_data(keys_, id);
    if (type == GGUF_TYPE_BOOL) out[i] = static_cast<const int8_t*>(items)[i];
    if (type == GGUF_TYPE_INT32) out[i] = static_cast<const int32_t*>(items)[i];
    if (type == GGUF_TYPE_UINT32) out[i] = static_cast<const uint32_t*>(items)[i];
  }
  return out;
}

const GgufFile::Tensor* GgufFile::find(const std::string& name) const {
  const auto place =
      std::lower_bound(tensors_.begin(), tensors_.end(), name,
                       [](const Tensor& tensor, const std::string& wanted) { return tensor.name < wanted; });
  return place != tensors_.end() && place->name == name ? &*place : nullptr;
}

std::string GgufFile::digest() const {
  base::Sha256 hash;
  hash.update(fmt::format("payonce gguf 1 {}\n", bytes_.size()));
  const size_t header_bytes = std::min(gguf_get_data_offset(keys_), bytes_.size());
  hash.update(bytes_.substr(0, header_bytes));
  const std::string_view weights = bytes_.substr(header_bytes);
  const size_t step_bytes = std::max(kSampleBytes, weights.size() / kSamples);
  for (size_t place = 0; place < weights.size(); place += step_bytes)
    hash.update(weights.substr(place, kSampleBytes));
  return base::hex(hash.finish());
}

void GgufFile::release_pages() const { madvise(const_cast<char*>(bytes_.data()), bytes_.size(), MADV_DONTNEED); }

}  // namespace payonce::engine
