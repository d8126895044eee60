// Bytes of a stream into lines, as MCP over stdio frames its messages. A line longer than the limit is not kept: it
// is handed on in pieces, as it comes, so memory is bounded whatever a peer sends.  Threads: one at a time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace payonce::mcp {

class LineReader {
 public:
  explicit LineReader(size_t max_line_bytes) : max_line_bytes_(max_line_bytes) {}

  // Calls `line(text)` for each whole line, its line feed included, and `piece(text)` for parts of a line that is too
  // long; the last of them ends with the line feed. Together they are the bytes that were fed, in order.
  template <typename Line, typename Piece>
  void feed(std::string_view bytes, const Line& line, const Piece& piece) {
    while (!bytes.empty()) {
      const size_t feed = bytes.find('\n');
      const std::string_view part = bytes.substr(0, feed == std::string_view::npos ? feed : feed + 1);
      bytes.remove_prefix(part.size());
      take(part, line, piece);
    }
  }

  // What is left when the stream ends: a line without its line feed, or nothing.
  std::string_view rest() const { return kept_; }

 private:
  template <typename Line, typename Piece>
  void take(std::string_view part, const Line& line, const Piece& piece) {
    const bool ends = part.back() == '\n';
    if (in_pieces_) {
      piece(part);
      in_pieces_ = !ends;
    } else if (kept_.size() + part.size() > max_line_bytes_) {
      if (!kept_.empty()) piece(std::string_view(kept_));
      kept_ = std::string();
      piece(part);
      in_pieces_ = !ends;
    } else if (ends && kept_.empty()) {
      line(part);
    } else {
      kept_ += part;
      if (!ends) return;
      line(std::string_view(kept_));
      kept_.clear();
      if (kept_.capacity() > kKeptBytes) kept_ = std::string();
    }
  }

  static constexpr size_t kKeptBytes = 1 << 20;  // of the buffer, between lines
  const size_t max_line_bytes_;
  std::string kept_;
  bool in_pieces_ = false;
};

}  // namespace payonce::mcp
