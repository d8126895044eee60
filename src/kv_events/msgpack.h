// A reader of MessagePack (the specification of 2017-08-09, github.com/msgpack/msgpack) that allocates nothing: one
// head at a time, front to back. A count or a length that cannot fit into what is left is an error at once, so what a
// caller reserves is bounded by the size of the message.  Threads: one at a time.  The bytes outlive the reader and
// what it gave.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace payonce::kv_events {

class MsgPackReader {
 public:
  enum class Type : uint8_t { kNil, kBool, kInteger, kFloat, kText, kBinary, kArray, kMap, kExtension };
  struct Head {
    Type type = Type::kNil;
    uint64_t number = 0;  // integer (negative: two's complement), bool (0, 1), or how many elements or pairs follow
    double real = 0;      // of kFloat, and of kInteger the same number
    std::string_view bytes;  // of text, binary, extension
  };
  explicit MsgPackReader(std::string_view bytes) : left_(bytes) {}

  base::Result<Head> read();                  // of an array or a map, its elements are read next; kCorrupt
  base::Result<std::string_view> read_raw();  // one whole value with all that is in it, as it is encoded
  bool at_end() const { return left_.empty(); }

 private:
  base::Result<uint64_t> big_endian(size_t bytes);
  base::Result<Head> sized(Type type, uint64_t count);
  base::Result<Head> sized_by(Type type, size_t length_bytes);
  base::Result<Head> extension(uint64_t count);
  base::Result<Head> number(uint8_t byte);

  std::string_view left_;
};

}  // namespace payonce::kv_events
