#include "seal/sealer.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <cstring>

#include "base/assert.h"
#include "base/bytes.h"

namespace payonce::seal {
namespace {

// Fetched once, as in base/hash.cc.
const EVP_CIPHER* fetched_cipher() {
  static const EVP_CIPHER* const kMethod = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  return kMethod;
}

EVP_KDF* fetched_hkdf() {
  static EVP_KDF* const kMethod = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  return kMethod;
}

// OpenSSL takes no constant, but changes nothing.
OSSL_PARAM octets(const char* name, std::string_view bytes) {
  return OSSL_PARAM_construct_octet_string(name, const_cast<char*>(bytes.data()), bytes.size());
}

}  // namespace

Nonce random_nonce() {
  Nonce nonce;
  base::random_bytes(nonce.data(), nonce.size());
  return nonce;
}

Nonce advanced(Nonce nonce, uint32_t step) {
  uint32_t count = 0;
  for (size_t i = 8; i < nonce.size(); ++i) count = count << 8 | nonce[i];
  count += step;
  for (size_t i = nonce.size(); i-- > 8; count >>= 8) nonce[i] = static_cast<uint8_t>(count & 0xff);
  return nonce;
}

base::Digest derive(std::string_view key, std::string_view salt, std::string_view info) {
  const std::unique_ptr<EVP_KDF_CTX, decltype(&EVP_KDF_CTX_free)> context(EVP_KDF_CTX_new(fetched_hkdf()),
                                                                          EVP_KDF_CTX_free);
  char hash[] = "SHA256";
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, hash, 0),
                                   octets(OSSL_KDF_PARAM_KEY, key), octets(OSSL_KDF_PARAM_SALT, salt),
                                   octets(OSSL_KDF_PARAM_INFO, info), OSSL_PARAM_construct_end()};
  base::Digest out;
  PAYONCE_ASSERT(EVP_KDF_derive(context.get(), out.data(), out.size(), parameters) == 1);
  return out;
}

Sealer::Sealer(const Key& key, std::string_view salt, std::string_view purpose)
    : key_(derive(key.bytes(), salt, "payonce seal 1 " + std::string(purpose))),
      mark_key_(derive(key.bytes(), salt, "payonce mark 1 " + std::string(purpose))) {}

Sealer::~Sealer() {
  OPENSSL_cleanse(key_.data(), key_.size());
  OPENSSL_cleanse(mark_key_.data(), mark_key_.size());
}

std::string Sealer::mark(std::string_view text) const {
  const base::Digest digest =
      base::hmac_sha256({reinterpret_cast<const char*>(mark_key_.data()), mark_key_.size()}, text);
  return {reinterpret_cast<const char*>(digest.data()), 16};
}

void Session::Free::operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }

Session::Session(const Sealer& sealer, Way way) : context_(EVP_CIPHER_CTX_new()) {
  PAYONCE_ASSERT(EVP_CipherInit_ex2(context_.get(), fetched_cipher(), sealer.key_.data(), nullptr,
                                    way == Way::kSeal ? 1 : 0, nullptr) == 1);
}

void Session::start(const Nonce& nonce, std::string_view bound) {
  int size = 0;
  PAYONCE_ASSERT(EVP_CipherInit_ex2(context_.get(), nullptr, nullptr, nonce.data(), -1, nullptr) == 1);
  PAYONCE_ASSERT(EVP_CipherUpdate(context_.get(), nullptr, &size, base::unsigned_bytes(bound),
                                  static_cast<int>(bound.size())) == 1);
}

void Session::seal(const Nonce& nonce, std::string_view bound, std::string_view plain, char* out) {
  auto* bytes = reinterpret_cast<unsigned char*>(out);
  int size = 0, last = 0;
  start(nonce, bound);
  if (!plain.empty()) {
    PAYONCE_ASSERT(EVP_EncryptUpdate(context_.get(), bytes, &size, base::unsigned_bytes(plain),
                                     static_cast<int>(plain.size())) == 1);
  }
  PAYONCE_ASSERT(EVP_EncryptFinal_ex(context_.get(), bytes + size, &last) == 1);
  PAYONCE_ASSERT(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, kTagBytes, bytes + plain.size()) == 1);
}

bool Session::open(const Nonce& nonce, std::string_view bound, std::string_view sealed, char* out) {
  if (sealed.size() < kTagBytes) return false;
  const std::string_view text = sealed.substr(0, sealed.size() - kTagBytes);
  std::array<char, kTagBytes> tag;
  std::memcpy(tag.data(), sealed.data() + text.size(), tag.size());
  auto* bytes = reinterpret_cast<unsigned char*>(out);
  int size = 0, last = 0;
  start(nonce, bound);
  if (!text.empty()) {
    PAYONCE_ASSERT(EVP_DecryptUpdate(context_.get(), bytes, &size, base::unsigned_bytes(text),
                                     static_cast<int>(text.size())) == 1);
  }
  PAYONCE_ASSERT(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) == 1);
  unsigned char nothing = 0;  // GCM has no bytes left at its end
  if (EVP_DecryptFinal_ex(context_.get(), &nothing, &last) == 1) return true;
  if (!text.empty()) std::memset(out, 0, text.size());  // what was not authenticated is nobody's to see
  return false;
}

}  // namespace payonce::seal
