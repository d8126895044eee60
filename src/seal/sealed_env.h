// The data directory as files that are sealed: the stores above know nothing of it. Paths must lie below the root.
// Threads: as base::Env.  Owner: whoever opens the data directory; outlives every file and store that it gave out.
// Errors: as the Env below, and as SealedFile. A file can be renamed from NAME.new to NAME alone, as
// base::write_file_atomic() does: its bytes are bound to NAME.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/metrics.h"
#include "seal/keys.h"
#include "seal/sealed_file.h"

namespace payonce::seal {

class SealedEnv final : public base::Env {
 public:
  SealedEnv(base::Env& under, std::string root, KeysPtr keys, base::Metrics& metrics);

  base::Result<std::unique_ptr<base::File>> open(const std::string& path, Mode mode) override;
  base::Status make_directories(const std::string& path) override { return under_.make_directories(path); }
  base::Result<std::vector<std::string>> list(const std::string& directory) const override {
    return under_.list(directory);
  }
  base::Status remove(const std::string& path) override { return under_.remove(path); }
  base::Status rename(const std::string& from, const std::string& to) override;
  base::Status sync_directory(const std::string& path) override { return under_.sync_directory(path); }
  bool exists(const std::string& path) const override { return under_.exists(path); }

 private:
  base::Result<std::string> name_of(const std::string& path) const;

  base::Env& under_;
  const std::string root_;
  const KeysPtr keys_;
  const base::Counter faults_;
};

}  // namespace payonce::seal
