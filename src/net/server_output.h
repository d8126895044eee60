// What a connection still has to send: small texts joined, bodies by reference, written by gather writes.
// Threads: one loop.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "net/server_transport.h"

namespace payonce::net {

class ServerOutput {
 public:
  void add_text(std::string_view text);  // copied
  void add_text(std::string&& text);     // moved when it starts a new piece
  void add(base::Bytes bytes);           // by reference, unless small
  size_t bytes() const { return bytes_; }
  bool empty() const { return bytes_ == 0; }
  void clear();

  // Writes until all is out (kDone) or the transport says wait or failed. `bytes` of the result: written in this
  // call.
  Io flush(ServerTransport& transport);

 private:
  // One or two parts of the wire: the text, then the bytes.
  struct Piece {
    std::string text;
    base::Bytes bytes;
  };
  void consume(size_t size);

  std::vector<Piece> pieces_;
  size_t first_ = 0;   // pieces before are written
  size_t offset_ = 0;  // written bytes of pieces_[first_]
  size_t bytes_ = 0;
};

}  // namespace payonce::net
