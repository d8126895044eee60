#include "engine/model/gguf_scan.h"

#include <fmt/format.h>
#include <gguf.h>

#include <cstring>

namespace payonce::engine {

namespace {

constexpr uint64_t kMaxKeys = 1 << 16;
constexpr uint64_t kMaxTensors = 1 << 17;
constexpr uint64_t kMaxNameBytes = 1 << 16;

size_t value_bytes(uint32_t type) {
  switch (type) {
    case GGUF_TYPE_UINT8:
    case GGUF_TYPE_INT8:
    case GGUF_TYPE_BOOL: return 1;
    case GGUF_TYPE_UINT16:
    case GGUF_TYPE_INT16: return 2;
    case GGUF_TYPE_UINT32:
    case GGUF_TYPE_INT32:
    case GGUF_TYPE_FLOAT32: return 4;
    case GGUF_TYPE_UINT64:
    case GGUF_TYPE_INT64:
    case GGUF_TYPE_FLOAT64: return 8;
    default: return 0;
  }
}

class Scanner {
 public:
  explicit Scanner(std::string_view file) : file_(file) {}

  base::Status header() {
    if (file_.size() < 24) return fail_at(fmt::format("{} bytes are too few for a GGUF header", file_.size()));
    if (file_.substr(0, 4) != GGUF_MAGIC) return fail_at("not a GGUF file (it does not start with \"GGUF\")");
    place_ = 4;
    PAYONCE_TRY(const uint32_t version, number<uint32_t>("the version"));
    if (version < 2 || version > GGUF_VERSION) {
      return fail_at(fmt::format("GGUF version {} is not supported (expected 2 or {})", version, GGUF_VERSION));
    }
    PAYONCE_TRY(const uint64_t tensors, count("tensors", kMaxTensors, 24));
    PAYONCE_TRY(const uint64_t keys, count("keys", kMaxKeys, 12));
    for (uint64_t i = 0; i < keys; ++i) PAYONCE_CHECK_OK(key(i));
    for (uint64_t i = 0; i < tensors; ++i) PAYONCE_CHECK_OK(tensor(i));
    return {};
  }

 private:
  auto fail_at(std::string what) const -> tl::unexpected<base::Error> {
    return base::fail(base::Code::kInvalid, fmt::format("{}, at byte {}", what, place_));
  }
  auto truncated(std::string_view in) const -> tl::unexpected<base::Error> {
    return fail_at(fmt::format("the file ends within {} (truncated or damaged)", in));
  }

  template <typename T>
  base::Result<T> number(std::string_view what) {
    if (file_.size() - place_ < sizeof(T)) return truncated(what);
    T value;
    std::memcpy(&value, file_.data() + place_, sizeof value);
    place_ += sizeof value;
    return value;
  }

  // A count of things of which each takes `least_bytes` or more.
  base::Result<uint64_t> count(std::string_view what, uint64_t most, uint64_t least_bytes) {
    PAYONCE_TRY(const uint64_t found, number<uint64_t>("the header"));
    if (found > most || found > file_.size() / least_bytes) {
      return fail_at(fmt::format("the header counts {} {} (damaged)", found, what));
    }
    return found;
  }

  base::Result<std::string_view> text(std::string_view what, uint64_t most) {
    PAYONCE_TRY(const uint64_t length, number<uint64_t>(what));
    if (length > most) return fail_at(fmt::format("{} is {} bytes long (damaged)", what, length));
    if (length > file_.size() - place_) return truncated(what);
    const std::string_view found = file_.substr(place_, length);
    place_ += length;
    return found;
  }

  base::Status key(uint64_t index) {
    PAYONCE_TRY(const std::string_view name, text(fmt::format("key {}", index), kMaxNameBytes));
    PAYONCE_TRY(const uint32_t type, number<uint32_t>(name));
    if (type != GGUF_TYPE_ARRAY) return values(name, type, 1);
    PAYONCE_TRY(const uint32_t item_type, number<uint32_t>(name));
    PAYONCE_TRY(const uint64_t items, number<uint64_t>(name));
    return values(name, item_type, items);
  }

  base::Status values(std::string_view name, uint32_t type, uint64_t items) {
    if (type == GGUF_TYPE_STRING) {
      for (uint64_t i = 0; i < items; ++i) PAYONCE_CHECK_OK(text(name, file_.size()));
      return {};
    }
    const size_t bytes = value_bytes(type);
    if (!bytes) return fail_at(fmt::format("key '{}' has the unknown type {} (damaged)", name, type));
    if (items > (file_.size() - place_) / bytes) return truncated(name);
    place_ += bytes * items;
    return {};
  }

  base::Status tensor(uint64_t index) {
    PAYONCE_TRY(const std::string_view name, text(fmt::format("tensor {}", index), kMaxNameBytes));
    PAYONCE_TRY(const uint32_t dimensions, number<uint32_t>(name));
    if (dimensions > 4) {
      return fail_at(fmt::format("tensor '{}' has {} dimensions, more than 4 (damaged)", name, dimensions));
    }
    for (uint32_t i = 0; i < dimensions; ++i) PAYONCE_CHECK_OK(number<uint64_t>(name));
    PAYONCE_CHECK_OK(number<uint32_t>(name));  // type
    PAYONCE_CHECK_OK(number<uint64_t>(name));  // offset
    return {};
  }

  std::string_view file_;
  size_t place_ = 0;
};

}  // namespace

base::Status scan_gguf_header(std::string_view file) { return Scanner(file).header(); }

}  // namespace payonce::engine
