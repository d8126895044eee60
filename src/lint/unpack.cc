#include "lint/unpack.h"

#include <fmt/format.h>
#include <zstd.h>

#include <memory>

namespace payonce::lint {

base::Result<std::string> unpack(std::string_view packed, uint64_t max_bytes) {
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), &ZSTD_freeDCtx);
  std::string out, part(ZSTD_DStreamOutSize(), '\0');
  ZSTD_inBuffer in{packed.data(), packed.size(), 0};
  while (in.pos < in.size) {
    ZSTD_outBuffer piece{part.data(), part.size(), 0};
    const size_t before = in.pos;
    const size_t code = ZSTD_decompressStream(context.get(), &piece, &in);
    if (ZSTD_isError(code)) {
      if (!out.empty()) break;
      return base::fail(base::Code::kInvalid, fmt::format("not packed with zstd: {}", ZSTD_getErrorName(code)));
    }
    out.append(part, 0, piece.pos);
    if (out.size() > max_bytes)
      return base::fail(base::Code::kTooLarge, fmt::format("more than {} bytes of text: split it", max_bytes));
    if (in.pos == before && piece.pos == 0) break;
  }
  return out;
}

}  // namespace payonce::lint
