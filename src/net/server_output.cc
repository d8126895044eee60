#include "net/server_output.h"

#include <array>
#include <utility>

namespace payonce::net {
namespace {

constexpr size_t kCopyBytes = 1024;  // below this a copy is cheaper than an entry of the gather list
constexpr size_t kGatherPieces = 64;
constexpr size_t kKeptPieces = 16;  // capacity that a connection keeps between answers

iovec part(std::string_view text) { return {const_cast<char*>(text.data()), text.size()}; }

}  // namespace

void ServerOutput::add_text(std::string_view text) {
  if (text.empty()) return;
  // A piece that is being written may grow behind its end: offsets stay true.
  if (pieces_.size() == first_ || !pieces_.back().bytes.empty()) pieces_.emplace_back();
  pieces_.back().text.append(text);
  bytes_ += text.size();
}

void ServerOutput::add_text(std::string&& text) {
  if (pieces_.size() != first_ && pieces_.back().bytes.empty()) return add_text(std::string_view(text));
  bytes_ += text.size();
  pieces_.push_back(Piece{std::move(text), {}});
}

void ServerOutput::add(base::Bytes bytes) {
  if (bytes.size() <= kCopyBytes) return add_text(bytes.view());
  bytes_ += bytes.size();
  if (pieces_.size() != first_ && pieces_.back().bytes.empty())
    pieces_.back().bytes = std::move(bytes);
  else
    pieces_.push_back(Piece{{}, std::move(bytes)});
}

void ServerOutput::clear() {
  pieces_.clear();
  if (pieces_.capacity() > kKeptPieces) pieces_.shrink_to_fit();
  first_ = offset_ = bytes_ = 0;
}

void ServerOutput::consume(size_t size) {
  bytes_ -= size;
  if (bytes_ == 0) return clear();
  offset_ += size;
  while (first_ < pieces_.size()) {
    const size_t piece = pieces_[first_].text.size() + pieces_[first_].bytes.size();
    if (offset_ < piece) break;
    offset_ -= piece;
    pieces_[first_] = Piece{};  // a written body goes now, not with the last one
    ++first_;
  }
  if (first_ > kGatherPieces && first_ * 2 > pieces_.size()) {
    pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

Io ServerOutput::flush(ServerTransport& transport) {
  size_t written = 0;
  while (bytes_ > 0) {
    std::array<iovec, kGatherPieces> parts;
    size_t count = 0;
    size_t skip = offset_;
    for (size_t i = first_; i < pieces_.size() && count + 2 <= parts.size(); ++i) {
      for (std::string_view text : {std::string_view(pieces_[i].text), pieces_[i].bytes.view()}) {
        const size_t skipped = std::min(skip, text.size());
        skip -= skipped;
        if (skipped < text.size()) parts[count++] = part(text.substr(skipped));
      }
    }
    const Io io = transport.write({parts.data(), count});
    if (io.state != IoState::kDone) return {io.state, written};
    written += io.bytes;
    consume(io.bytes);
  }
  return {IoState::kDone, written};
}

}  // namespace payonce::net
