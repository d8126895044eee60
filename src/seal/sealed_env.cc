#include "seal/sealed_env.h"

#include <fmt/format.h>

#include <utility>

namespace payonce::seal {

using base::kUnfinished;

SealedEnv::SealedEnv(base::Env& under, std::string root, KeysPtr keys, base::Metrics& metrics)
    : under_(under),
      root_(std::move(root) + "/"),
      keys_(std::move(keys)),
      faults_(metrics.counter("payonce_sealed_faults_total")) {}

base::Result<std::string> SealedEnv::name_of(const std::string& path) const {
  if (!path.starts_with(root_))
    return base::fail(base::Code::kInternal, fmt::format("'{}' does not lie in the data directory {}", path, root_));
  std::string name = path.substr(root_.size());
  if (name.ends_with(kUnfinished)) name.resize(name.size() - kUnfinished.size());
  return name;
}

base::Result<std::unique_ptr<base::File>> SealedEnv::open(const std::string& path, Mode mode) {
  PAYONCE_TRY(std::string name, name_of(path));
  PAYONCE_TRY(std::unique_ptr<base::File> file, under_.open(path, mode));
  return SealedFile::open(std::move(file), keys_, std::move(name), faults_);
}

base::Status SealedEnv::rename(const std::string& from, const std::string& to) {
  PAYONCE_TRY(const std::string before, name_of(from));
  PAYONCE_TRY(const std::string after, name_of(to));
  if (before != after)
    return base::fail(base::Code::kInternal, fmt::format("sealed '{}' cannot be named '{}'", from, to));
  return under_.rename(from, to);
}

}  // namespace payonce::seal
