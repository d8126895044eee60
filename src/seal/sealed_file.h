// A file whose bytes are sealed on their way to the disk and opened on their way back: to its user it is a file of
// the plain bytes. What is appended at once is sealed as one frame, under a nonce of its own, drawn at random, so
// that a tail that was torn, cut off and written again repeats none. docs/formats/sealed-file.md describes each byte.
//
// Threads: as base::File.  Errors: as the file below, and kCorrupt where bytes are not what was sealed there.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "base/metrics.h"
#include "seal/keys.h"
#include "seal/sealing_format.h"

namespace payonce::seal {

class SealedFile final : public base::File {
 public:
  // `file` was opened for appending, or is not appended to. `name`: what the file is called in the data directory;
  // its bytes cannot be read under another. `faults` counts damage. kCorrupt: it is not sealed, or its header is
  // damaged; kForbidden: it is sealed under a key that is not among `keys`.
  static base::Result<std::unique_ptr<SealedFile>> open(std::unique_ptr<base::File> file, KeysPtr keys,
                                                        std::string name, base::Counter faults);

  base::Status append(std::string_view bytes) override;
  base::Result<size_t> read_at(uint64_t offset, char* out, size_t size) const override {
    return read(offset, out, size, Damage::kFails);
  }
  base::Result<size_t> read_past_damage(uint64_t offset, char* out, size_t size) const override {
    return read(offset, out, size, Damage::kZeros);
  }
  base::Result<uint64_t> size() const override;  // of the plain bytes
  base::Status sync() override { return file_->sync(); }
  base::Status truncate(uint64_t size) override;

 private:
  struct Frame {
    uint64_t start = 0;  // of its plain bytes in the plain file
    uint64_t place = 0;  // of its head in the file
    uint32_t size = 0;   // of its plain bytes
  };
  enum class Damage : uint8_t { kFails, kZeros };
  class Window;

  SealedFile(std::unique_ptr<base::File> file, KeysPtr keys, std::string name, base::Counter faults)
      : file_(std::move(file)), keys_(std::move(keys)), name_(std::move(name)), faults_(faults) {}
  base::Status read_header();
  base::Status find_frames();
  base::Status cut_tail();
  base::Result<size_t> read(uint64_t offset, char* out, size_t size, Damage damage) const;
  std::vector<Frame> frames_of(uint64_t offset, size_t& size) const;
  base::Result<bool> open_frame(Session& session, Window& window, const Frame& frame, uint32_t from, char* out,
                                uint32_t size) const;

  const std::unique_ptr<base::File> file_;
  const KeysPtr keys_;
  const std::string name_;
  const base::Counter faults_;
  std::unique_ptr<const Sealer> sealer_;  // null: no header yet
  uint64_t end_ = 0;                      // of the last frame; what follows is a torn tail
  bool has_tail_ = false;

  mutable std::mutex mutex_;
  std::vector<Frame> frames_;  // guarded by mutex_, in order; gaps are damage
  uint64_t size_ = 0;          // guarded by mutex_
};

}  // namespace payonce::seal
