// Env: the file system behind one seam, so that a test can lose every unsynced byte, fill the disk or fail a call.
// Threads: Env methods any; a File one thread at a time, but read_at is safe beside append.
// Errors: kNotFound, kExhausted (disk full), kUnavailable (any other errno, named in the message); of a file that
// checks its own bytes (seal/) kCorrupt.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace payonce::base {

class File {
 public:
  virtual ~File() = default;
  virtual Status append(std::string_view bytes) = 0;
  // Reads up to `size` bytes at `offset` into `out`; returns the number read (short only at the end of the file).
  virtual Result<size_t> read_at(uint64_t offset, char* out, size_t size) const = 0;
  // As read_at(), but a stretch whose bytes fail a check of the file's own reads as zeros where read_at() gives
  // kCorrupt: for scans, which go on behind it.
  virtual Result<size_t> read_past_damage(uint64_t offset, char* out, size_t size) const {
    return read_at(offset, out, size);
  }
  virtual Result<uint64_t> size() const = 0;
  virtual Status sync() = 0;  // data is on the disk when it returns
  virtual Status truncate(uint64_t size) = 0;
};

class Env {
 public:
  virtual ~Env() = default;
  enum class Mode { kReadOnly, kAppend };  // kAppend creates the file (0600) if missing
  virtual Result<std::unique_ptr<File>> open(const std::string& path, Mode mode) = 0;
  virtual Status make_directories(const std::string& path) = 0;                           // 0700
  virtual Result<std::vector<std::string>> list(const std::string& directory) const = 0;  // names, sorted
  virtual Status remove(const std::string& path) = 0;
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  virtual Status sync_directory(const std::string& path) = 0;
  virtual bool exists(const std::string& path) const = 0;
};

class PosixEnv final : public Env {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, Mode mode) override;
  Status make_directories(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& directory) const override;
  Status remove(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status sync_directory(const std::string& path) override;
  bool exists(const std::string& path) const override;
};

// Behind the name of a file until all of it is there.
inline constexpr std::string_view kUnfinished = ".new";

Result<std::string> read_file(Env& env, const std::string& path);
// Writes beside, syncs, renames: a reader sees the old or the new content, never a part.
Status write_file_atomic(Env& env, const std::string& path, std::string_view content);

}  // namespace payonce::base
