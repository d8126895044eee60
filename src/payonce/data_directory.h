// What lies in the data directory, and the files through which it is read and written: sealed if there is a key.
// Threads: one (main's).
#pragma once

#include <memory>
#include <string>

#include "base/env.h"
#include "base/metrics.h"
#include "base/result.h"
#include "config/settings.h"

namespace payonce {

class DataDirectory {
 public:
  // `files` and `metrics` outlive it. After an error, and for no directory, its files are as they are.
  DataDirectory(base::Env& files, base::Metrics& metrics) : plain_(files), metrics_(metrics) {}

  // Looks under which keys its files are sealed, and seals those that are not sealed under the first.
  // kForbidden: a key is missing, or plain files are refused; kUnavailable: one cannot be written. Nothing is lost.
  base::Status open(const std::string& path, const seal::Protection& protection);
  base::Env& files() { return sealed_ ? *sealed_ : plain_; }

 private:
  base::Env& plain_;
  base::Metrics& metrics_;
  std::unique_ptr<base::Env> sealed_;  // null: not sealed
};

// What open() would do, for `payonce serve --check`: empty without a key.
base::Result<std::string> check_data_directory(const config::Settings& settings);

}  // namespace payonce
