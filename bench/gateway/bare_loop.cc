// The limit: one epoll thread that reads the POST, hashes its body, looks the hash up in a map and sends the answer
// found there. It checks nothing and counts nothing, so no gateway that keys by content can be much faster.
//
//   bare_loop --port N [--xxh]      SHA-256 of the body, or XXH3-128 with --xxh
#include <openssl/evp.h>
#include <xxhash.h>

#include <cstring>
#include <string>
#include <string_view>
#include <unordered_map>

#include "epoll_http.h"

namespace payonce::bench {
namespace {

struct Key {
  uint64_t words[4] = {};
  bool operator==(const Key&) const = default;
};
struct KeyHasher {
  size_t operator()(const Key& key) const { return static_cast<size_t>(key.words[0]); }
};

Key sha256_key(std::string_view body) {
  static EVP_MD_CTX* const context = EVP_MD_CTX_new();
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  Key key;
  unsigned char digest[32];
  if (EVP_DigestInit_ex(context, algorithm, nullptr) != 1 ||
      EVP_DigestUpdate(context, body.data(), body.size()) != 1 || EVP_DigestFinal_ex(context, digest, nullptr) != 1) {
    die("OpenSSL cannot compute SHA-256");
  }
  std::memcpy(key.words, digest, sizeof digest);
  return key;
}

Key xxh3_key(std::string_view body) {
  const XXH128_hash_t hash = XXH3_128bits(body.data(), body.size());
  return {{hash.low64, hash.high64, 0, 0}};
}

std::string answer() {
  std::string body = R"({"id":"chatcmpl-bench","object":"chat.completion","model":"gpt-4o-mini","choices":[)"
                     R"({"index":0,"message":{"role":"assistant","content":")";
  body += std::string(425 - body.size() - 39, 'x') + R"("},"finish_reason":"stop"}],"usage":{}})";
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

}  // namespace
}  // namespace payonce::bench

int main(int argc, char** argv) {
  using namespace payonce::bench;
  const int64_t port = integer_option(argc, argv, "--port", 0);
  if (port < 1 || port > 65535) die("usage: bare_loop --port N [--xxh]");
  const auto key_of = has_flag(argc, argv, "--xxh") ? xxh3_key : sha256_key;
  std::unordered_map<Key, std::string, KeyHasher> answers;
  const std::string first = answer();
  EpollHttp* server = nullptr;
  EpollHttp loop(static_cast<uint16_t>(port), [&](EpollHttp::ConnectionId id, const HttpRequest& request) {
    auto [found, added] = answers.try_emplace(key_of(request.body));
    if (added) found->second = first;  // the first of its kind fills the map, all others are hits
    server->send(id, found->second, EpollHttp::Part::kLast);
  });
  server = &loop;
  loop.run();
}
