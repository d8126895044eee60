// Frames of the Unix socket: one byte that says what it is, four bytes of length (big-endian), a JSON body.
// Threads: a value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace payonce::agent {

inline constexpr size_t kFrameHead = 5;                // bytes
inline constexpr uint32_t kMaxFrameBytes = 64u << 20;  // of the body
inline constexpr char kErrorVerb = 'X';
inline constexpr char kCredentialVerb = 'K';

struct Frame {
  char verb = 0;
  std::string body;
};

std::string frame_bytes(char verb, std::string_view body);

// Takes bytes as they come, gives frames as they are whole.
class FrameReader {
 public:
  void add(std::string_view bytes) { buffer_ += bytes; }
  // nullopt: more bytes are needed. kTooLarge: the length is over the limit; nothing more can be read.
  base::Result<std::optional<Frame>> next();

 private:
  std::string buffer_;
};

}  // namespace payonce::agent
