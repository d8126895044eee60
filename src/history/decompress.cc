#include "history/decompress.h"

#include <fmt/format.h>
#include <lzma.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "base/bytes.h"

namespace payonce::history {
namespace {

using base::Code;

constexpr size_t kBufferBytes = size_t{1} << 20;
constexpr uint64_t kXzMemoryBytes = uint64_t{256} << 20;

class Output {
 public:
  Output(const Descriptor& to, uint64_t limit_bytes, uint64_t& written)
      : to_(to), limit_bytes_(limit_bytes), written_(written), buffer_(kBufferBytes) {}

  unsigned char* data() { return buffer_.data(); }

  base::Status flush(size_t size) {
    for (size_t at = 0; at < size;) {
      const ssize_t done = ::write(to_.get(), buffer_.data() + at, size - at);
      if (done < 0 && errno == EINTR) continue;
      if (done < 0)
        return base::fail(Code::kExhausted,
                          std::string("cannot be unpacked: ") + std::strerror(errno) + "; set TMPDIR");
      at += static_cast<size_t>(done);
      written_ += static_cast<uint64_t>(done);
    }
    if (written_ > limit_bytes_)
      return base::fail(Code::kTooLarge, fmt::format("unpacks to more than {} bytes", limit_bytes_));
    return {};
  }

 private:
  const Descriptor& to_;
  uint64_t limit_bytes_;
  uint64_t& written_;
  std::vector<unsigned char> buffer_;
};

base::Status gunzip(std::string_view bytes, Output& out) {
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) return base::fail(Code::kInternal, "zlib does not start");
  const std::unique_ptr<z_stream, decltype(&inflateEnd)> end(&stream, &inflateEnd);
  int state = Z_OK;
  while (state != Z_STREAM_END || !bytes.empty()) {
    if (state == Z_STREAM_END) {          // another member
      if (bytes[0] != '\x1f') return {};  // gzip's own reader ignores a tail of other bytes too
      inflateReset(&stream);
    }
    const size_t give = std::min(bytes.size(), kBufferBytes);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));  // NOLINT: zlib's old interface
    stream.avail_in = static_cast<uInt>(give);
    stream.next_out = out.data();
    stream.avail_out = kBufferBytes;
    state = inflate(&stream, Z_NO_FLUSH);
    const size_t made = kBufferBytes - stream.avail_out;
    PAYONCE_CHECK_OK(out.flush(made));
    const size_t taken = give - stream.avail_in;
    bytes.remove_prefix(taken);
    if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR)
      return base::fail(Code::kCorrupt, "gzip: damaged data");
    if (state != Z_STREAM_END && taken == 0 && made == 0) return base::fail(Code::kCorrupt, "gzip: ends too early");
  }
  return {};
}

base::Status unzstd(std::string_view bytes, Output& out) {
  const std::unique_ptr<ZSTD_DStream, decltype(&ZSTD_freeDStream)> stream(ZSTD_createDStream(), &ZSTD_freeDStream);
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  size_t state = 1;
  while (true) {
    ZSTD_outBuffer to{out.data(), kBufferBytes, 0};
    const size_t before = in.pos;
    state = ZSTD_decompressStream(stream.get(), &to, &in);
    PAYONCE_CHECK_OK(out.flush(to.pos));
    if (ZSTD_isError(state) != 0) return base::fail(Code::kCorrupt, std::string("zstd: ") + ZSTD_getErrorName(state));
    if (in.pos == in.size && to.pos < to.size) break;
    if (in.pos == before && to.pos == 0) break;
  }
  return state == 0 ? base::Status() : base::fail(Code::kCorrupt, "zstd: ends too early");
}

base::Status unxz(std::string_view bytes, Output& out) {
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_stream_decoder(&stream, kXzMemoryBytes, LZMA_CONCATENATED) != LZMA_OK)
    return base::fail(Code::kInternal, "liblzma does not start");
  const std::unique_ptr<lzma_stream, decltype(&lzma_end)> end(&stream, &lzma_end);
  stream.next_in = base::unsigned_bytes(bytes);
  stream.avail_in = bytes.size();
  while (true) {
    stream.next_out = out.data();
    stream.avail_out = kBufferBytes;
    const lzma_ret state = lzma_code(&stream, LZMA_FINISH);
    PAYONCE_CHECK_OK(out.flush(kBufferBytes - stream.avail_out));
    if (state == LZMA_STREAM_END) return {};
    if (state == LZMA_BUF_ERROR) return base::fail(Code::kCorrupt, "xz: ends too early");
    if (state == LZMA_MEMLIMIT_ERROR) return base::fail(Code::kTooLarge, "xz: needs more than 256 MiB of memory");
    if (state != LZMA_OK) return base::fail(Code::kCorrupt, "xz: damaged data");
  }
}

}  // namespace

Packing packing_of(std::string_view bytes) {
  if (bytes.starts_with("\x1f\x8b\x08")) return Packing::kGzip;
  if (bytes.starts_with("\x28\xb5\x2f\xfd")) return Packing::kZstd;
  if (bytes.starts_with(std::string_view("\xfd"
                                         "7zXZ\0",
                                         6)))
    return Packing::kXz;
  return Packing::kNone;
}

base::Status unpack(Packing packing, std::string_view bytes, const Descriptor& to, uint64_t limit_bytes,
                    uint64_t& written) {
  written = 0;
  Output out(to, limit_bytes, written);
  switch (packing) {
    case Packing::kGzip: return gunzip(bytes, out);
    case Packing::kZstd: return unzstd(bytes, out);
    case Packing::kXz: return unxz(bytes, out);
    case Packing::kNone: break;
  }
  return base::fail(Code::kInvalid, "not packed");
}

}  // namespace payonce::history
