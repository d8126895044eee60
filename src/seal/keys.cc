#include "seal/keys.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/ascii.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "seal/sealer.h"

namespace payonce::seal {
namespace {

using base::Code;
using base::fail;

constexpr size_t kHexDigits = 2 * kKeyBytes;
constexpr size_t kBase64Characters = 44;  // the last is '=', and may be missing
constexpr size_t kMaxFileBytes = 64 << 10;
constexpr size_t kMaxKeys = 64;
constexpr std::string_view kBlank = " \t\r\n";

using KeyBytes = std::array<uint8_t, kKeyBytes>;

// A buffer for secrets: wiped when it goes, also in case of an error.
struct Secret {
  explicit Secret(size_t size) : text(size, '\0') {}
  ~Secret() { OPENSSL_cleanse(text.data(), text.size()); }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  std::string text;
};

bool read_hex(std::string_view word, KeyBytes& out) {
  for (size_t i = 0; i < out.size(); ++i) {
    const int high = base::hex_value(word[2 * i]), low = base::hex_value(word[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    out[i] = static_cast<uint8_t>(high * 16 + low);
  }
  return true;
}

bool read_base64(std::string_view word, KeyBytes& out) {
  Secret padded(kBase64Characters);
  padded.text.assign(word);
  padded.text.resize(kBase64Characters, '=');
  std::array<unsigned char, kBase64Characters / 4 * 3> raw{};
  const int size =
      EVP_DecodeBlock(raw.data(), base::unsigned_bytes(padded.text), static_cast<int>(padded.text.size()));
  const bool good = size == static_cast<int>(raw.size()) && padded.text.find('=') == kBase64Characters - 1;
  std::copy_n(raw.begin(), out.size(), out.begin());
  OPENSSL_cleanse(raw.data(), raw.size());
  return good;
}

bool read_key(std::string_view word, KeyBytes& out) {
  if (word.size() == kHexDigits) return read_hex(word, out);
  if (word.size() == kBase64Characters || word.size() + 1 == kBase64Characters) return read_base64(word, out);
  return false;
}

// The next word; removes it, and the comments before it.
std::string_view next_word(std::string_view& text) {
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
    if (!text.starts_with('#')) break;
    text.remove_prefix(std::min(text.find('\n'), text.size()));
  }
  const std::string_view word = text.substr(0, text.find_first_of(kBlank));
  text.remove_prefix(word.size());
  return word;
}

base::Status check_owner(int fd, const std::string& path) {
  struct stat info{};
  if (::fstat(fd, &info) != 0)
    return fail(Code::kUnavailable, fmt::format("cannot stat '{}': {}", path, std::strerror(errno)));
  if (!S_ISREG(info.st_mode)) return fail(Code::kInvalid, fmt::format("{} is no file", path));
  const bool by_group = (info.st_mode & S_IRWXG) != 0 && !(info.st_uid == 0 && (info.st_mode & S_IWGRP) == 0);
  if ((info.st_mode & S_IRWXO) == 0 && !by_group) return {};
  return fail(Code::kInvalid, fmt::format("{} has mode {:04o}, so that others may read it; expected 0600 or 0400: "
                                          "chmod 600 {}",
                                          path, info.st_mode & 07777, path));
}

}  // namespace

Key::Key(const std::array<uint8_t, kKeyBytes>& bytes) : bytes_(bytes) {
  const base::Digest digest = derive(this->bytes(), "", "payonce key id");
  id_.assign(reinterpret_cast<const char*>(digest.data()), 8);
}

Key::~Key() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

base::Result<KeysPtr> Keys::parse(std::string_view text, std::string_view source) {
  auto out = std::make_shared<Keys>();
  for (std::string_view word; !(word = next_word(text)).empty();) {
    KeyBytes bytes{};
    const bool good = read_key(word, bytes);
    auto key = std::make_unique<const Key>(bytes);
    OPENSSL_cleanse(bytes.data(), bytes.size());
    const size_t number = out->keys_.size() + 1;
    if (!good)
      return fail(Code::kInvalid,
                  fmt::format("{}: key {} has {} characters that are no key; expected 32 bytes as base64 (44 "
                              "characters, as `openssl rand -base64 32` makes them) or as 64 hex digits",
                              source, number, word.size()));
    if (number > kMaxKeys || out->find(key->id()) != nullptr)
      return fail(Code::kInvalid, fmt::format("{}: key {} is {}", source, number,
                                              number > kMaxKeys ? fmt::format("one more than {}", kMaxKeys)
                                                                : "there twice; remove one"));
    out->keys_.push_back(std::move(key));
  }
  if (out->keys_.empty())
    return fail(Code::kInvalid,
                fmt::format("{}: no key in it; expected 32 bytes as base64, as `openssl rand -base64 32` makes them, "
                            "or as 64 hex digits",
                            source));
  return KeysPtr(std::move(out));
}

base::Result<KeysPtr> Keys::read(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return fail(Code::kNotFound, fmt::format("cannot open '{}': {}", path, std::strerror(errno)));
  const std::unique_ptr<const int, void (*)(const int*)> closed(&fd, [](const int* open) { ::close(*open); });
  PAYONCE_CHECK_OK(check_owner(fd, path));
  Secret content(kMaxFileBytes);
  const ssize_t got = ::read(fd, content.text.data(), content.text.size());
  if (got < 0) return fail(Code::kUnavailable, fmt::format("cannot read '{}': {}", path, std::strerror(errno)));
  return parse(std::string_view(content.text).substr(0, static_cast<size_t>(got)), path);
}

const Key* Keys::find(std::string_view id) const {
  const auto at = std::ranges::find_if(keys_, [&](const auto& key) { return key->id() == id; });
  return at == keys_.end() ? nullptr : at->get();
}

}  // namespace payonce::seal
