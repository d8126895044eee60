#include "agent/api/frame.h"

#include <fmt/format.h>

namespace payonce::agent {
namespace {

uint32_t length_at(std::string_view head) {
  uint32_t out = 0;
  for (size_t i = 1; i < kFrameHead; ++i) out = (out << 8) | static_cast<unsigned char>(head[i]);
  return out;
}

}  // namespace

std::string frame_bytes(char verb, std::string_view body) {
  std::string out(1, verb);
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>((body.size() >> shift) & 0xff));
  out += body;
  return out;
}

base::Result<std::optional<Frame>> FrameReader::next() {
  if (buffer_.size() < kFrameHead) return std::nullopt;
  const uint32_t length = length_at(buffer_);
  if (length > kMaxFrameBytes)
    return base::fail(base::Code::kTooLarge, fmt::format("a frame of {} bytes; at most {}", length, kMaxFrameBytes));
  if (buffer_.size() - kFrameHead < length) return std::nullopt;
  Frame out{.verb = buffer_[0], .body = buffer_.substr(kFrameHead, length)};
  buffer_.erase(0, kFrameHead + length);
  return out;
}

}  // namespace payonce::agent
