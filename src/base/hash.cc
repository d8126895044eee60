#include "base/hash.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sys/random.h>

#include <algorithm>
#include <cstdlib>
#define XXH_STATIC_LINKING_ONLY  // for a state on the stack
#include <xxhash.h>
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>  // AVX2 or AVX-512 where the machine has it: half the time on a 40 KB body
#endif

#include "base/assert.h"
#include "base/bytes.h"

namespace payonce::base {
namespace {

// Fetched once: each implicit fetch of OpenSSL 3 takes locks and look-ups that cost more than hashing a small text.
const EVP_MD* fetched_sha256() {
  static const EVP_MD* const kMethod = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return kMethod;
}

EVP_MAC* fetched_hmac() {
  static EVP_MAC* const kMethod = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  return kMethod;
}

}  // namespace

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  PAYONCE_ASSERT(EVP_DigestInit_ex2(state_->context, fetched_sha256(), nullptr) == 1);
}
Sha256::~Sha256() = default;

void Sha256::update(std::string_view bytes) {
  PAYONCE_ASSERT(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

Digest Sha256::finish() {
  Digest digest;
  unsigned size = 0;
  PAYONCE_ASSERT(EVP_DigestFinal_ex(state_->context, digest.data(), &size) == 1 && size == digest.size());
  return digest;
}

Digest sha256(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

Digest hmac_sha256(std::string_view key, std::string_view bytes) {
  Digest digest;
  size_t size = 0;
  char name[] = "SHA256";
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                                   OSSL_PARAM_construct_end()};
  const std::unique_ptr<EVP_MAC_CTX, decltype(&EVP_MAC_CTX_free)> context(EVP_MAC_CTX_new(fetched_hmac()),
                                                                          EVP_MAC_CTX_free);
  PAYONCE_ASSERT(EVP_MAC_init(context.get(), unsigned_bytes(key), key.size(), parameters) == 1);
  PAYONCE_ASSERT(EVP_MAC_update(context.get(), unsigned_bytes(bytes), bytes.size()) == 1);
  PAYONCE_ASSERT(EVP_MAC_final(context.get(), digest.data(), &size, digest.size()) == 1 && size == digest.size());
  return digest;
}

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

KeyedHash::KeyedHash() { random_bytes(secret_.data(), secret_.size()); }

KeyedHash::KeyedHash(std::string_view seed) {
  for (size_t filled = 0, round = 0; filled < secret_.size(); ++round) {
    const Digest part = hmac_sha256(seed, std::to_string(round));
    filled += std::string_view(reinterpret_cast<const char*>(part.data()), part.size())
                  .copy(reinterpret_cast<char*>(secret_.data()) + filled, secret_.size() - filled);
  }
}

Hash128 KeyedHash::operator()(std::string_view bytes) const {
  const XXH128_hash_t hash = XXH3_128bits_withSecret(bytes.data(), bytes.size(), secret_.data(), secret_.size());
  return {hash.low64, hash.high64};
}

Hash128 KeyedHash::hash_parts(const std::string_view* parts, size_t count) const {
  // Most parts are short: gathered on the stack they cost a tenth of a streaming state.
  char gathered[240];
  size_t size = 0;
  for (size_t i = 0; i < count; ++i) size += sizeof(uint64_t) + parts[i].size();
  if (size <= sizeof gathered) {
    char* out = gathered;
    for (size_t i = 0; i < count; ++i) {
      const uint64_t length = parts[i].size();
      out = std::copy_n(reinterpret_cast<const char*>(&length), sizeof length, out);
      out = std::copy(parts[i].begin(), parts[i].end(), out);
    }
    return (*this)({gathered, size});
  }
  XXH3_state_t state;
  XXH3_INITSTATE(&state);
  XXH3_128bits_reset_withSecret(&state, secret_.data(), secret_.size());
  for (size_t i = 0; i < count; ++i) {
    const uint64_t length = parts[i].size();
    XXH3_128bits_update(&state, &length, sizeof length);
    XXH3_128bits_update(&state, parts[i].data(), parts[i].size());
  }
  const XXH128_hash_t hash = XXH3_128bits_digest(&state);
  return {hash.low64, hash.high64};
}

void random_bytes(void* out, size_t size) {
  auto* cursor = static_cast<unsigned char*>(out);
  while (size > 0) {
    const ssize_t got = ::getrandom(cursor, size, 0);
    if (got < 0) std::abort();
    cursor += got;
    size -= static_cast<size_t>(got);
  }
}

std::string random_hex(size_t bytes) {
  std::string raw(bytes, '\0');
  random_bytes(raw.data(), raw.size());
  return hex(raw);
}

}  // namespace payonce::base
