// The name of a block: a chain of SHA-256 over the tokens from the start of the prompt, so that equal hashes mean
// equal prefixes of one tenant on one model in one layout. A hit still compares the tokens: the hash only finds.
// Threads: pure functions.  Source: Kwon et al. 2023 (PagedAttention), section 4; design §7.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "base/hash.h"

namespace payonce::kv {

inline constexpr int kBlockTokens = 16;

using BlockHash = base::Digest;
struct BlockHashHasher {
  size_t operator()(const BlockHash& hash) const {
    size_t out = 0;
    std::memcpy(&out, hash.data(), sizeof out);
    return out;
  }
};

// Where every chain begins. `model`: digest of the weights; `layout`: what makes the bytes of a block readable (type,
// layers, heads, page order), both as opaque text.
BlockHash root_hash(std::string_view model, std::string_view layout);

// h[i] = H(h[i-1], salt, tokens[i]). `tokens`: 1 … kBlockTokens of them; a partial block has a hash of its own.
// `salt` is the tenant's, or that of public prefixes; it is mixed in at every block, so that a chain may begin public
// and go on private.
BlockHash chain_hash(const BlockHash& previous, std::string_view salt, std::span<const int32_t> tokens);

}  // namespace payonce::kv
