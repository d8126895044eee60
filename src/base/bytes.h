// Bytes: an immutable, ref-counted slice. A body is read once into memory and then travels (to the key builder, the
// upstream, the store, several clients) without a copy.  Threads: distinct objects may be used by distinct threads.
// And bytes as libraries of C take them.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace payonce::base {

class Bytes {
 public:
  Bytes() = default;
  explicit Bytes(std::string text) {
    auto owner = std::make_shared<const std::string>(std::move(text));
    view_ = *owner;
    owner_ = std::move(owner);
  }
  // `view` must stay valid as long as `owner` lives.
  Bytes(std::shared_ptr<const void> owner, std::string_view view) : owner_(std::move(owner)), view_(view) {}
  static Bytes copy(std::string_view text) { return Bytes(std::string(text)); }
  // For string literals and other static storage.
  static Bytes unowned(std::string_view text) { return Bytes(nullptr, text); }

  std::string_view view() const { return view_; }
  const char* data() const { return view_.data(); }
  size_t size() const { return view_.size(); }
  bool empty() const { return view_.empty(); }
  // A part of the same memory; keeps all of it alive.
  Bytes slice(size_t offset, size_t size) const { return Bytes(owner_, view_.substr(offset, size)); }

 private:
  std::shared_ptr<const void> owner_;
  std::string_view view_;
};

inline const unsigned char* unsigned_bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace payonce::base
