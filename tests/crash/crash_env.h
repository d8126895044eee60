// A file system that loses what was not synced, as a power cut does, and that fails calls, as a full or dying disk
// does. It works on real files in a directory. What a crash leaves is drawn from the seed:
//   - of each file the synced bytes, and of the rest a prefix, the end of which may be zeros or garbage;
//   - a file whose directory entry was not synced may be gone;
//   - a deletion that was not synced may not have happened.
// Threads: all methods any, except crash() and revive(), for which the store must stand still.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "base/env.h"

namespace payonce::crash {

class CrashEnv final : public base::Env {
 public:
  // `directory`: where this may keep deleted files until their deletion is synced.
  CrashEnv(uint64_t seed, std::string directory);

  // From now on every call fails, also through files that are open: nothing more reaches the disk.
  void crash() { dead_ = true; }
  // Settles what the crash has left, and works again. Files opened before stay dead.
  void revive();

  // One call of `one_in` fails; 0: none.
  void set_faults(uint32_t one_in) { one_in_ = one_in; }
  uint64_t faults() const { return faults_; }
  // Failed deletions, which leave a purge no way to be durable.
  uint64_t failed_removals() const { return failed_removals_; }

  base::Result<std::unique_ptr<base::File>> open(const std::string& path, Mode mode) override;
  base::Status make_directories(const std::string& path) override;
  base::Result<std::vector<std::string>> list(const std::string& directory) const override;
  base::Status remove(const std::string& path) override;
  base::Status rename(const std::string& from, const std::string& to) override;
  base::Status sync_directory(const std::string& path) override;
  bool exists(const std::string& path) const override;

 private:
  class CrashFile;
  struct State {
    uint64_t synced_bytes = 0;
    bool entry_synced = false;
  };
  struct Removed {
    std::string path, kept_as;
    State state;
  };

  base::Status alive() const;
  bool fails();  // draws
  uint64_t draw(uint64_t below);
  void settle(const std::string& path, State& state);

  const std::string directory_;
  base::PosixEnv real_;
  std::atomic<bool> dead_{false};
  std::atomic<uint64_t> life_{0};
  std::atomic<uint32_t> one_in_{0};
  std::atomic<uint64_t> faults_{0};
  std::atomic<uint64_t> failed_removals_{0};
  mutable std::mutex mutex_;
  std::mt19937_64 random_;              // guarded by mutex_; so is all below
  std::map<std::string, State> files_;  // that were created here
  std::vector<Removed> removed_;
  uint64_t removals_ = 0;
};

}  // namespace payonce::crash
