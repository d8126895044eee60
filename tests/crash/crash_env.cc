#include "crash_env.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

namespace payonce::crash {
namespace {

using base::Code;
using base::fail;
namespace fs = std::filesystem;

tl::unexpected<base::Error> injected() { return fail(Code::kUnavailable, "injected: input/output error"); }

}  // namespace

class CrashEnv::CrashFile final : public base::File {
 public:
  CrashFile(CrashEnv& env, std::string path, std::unique_ptr<base::File> real)
      : env_(env), path_(std::move(path)), real_(std::move(real)), life_(env.life_) {}

  base::Status append(std::string_view bytes) override {
    PAYONCE_CHECK_OK(alive());
    if (env_.fails()) {  // a full disk takes a part
      PAYONCE_CHECK_OK(real_->append(bytes.substr(0, static_cast<size_t>(env_.draw(bytes.size() + 1)))));
      return fail(Code::kExhausted, "injected: no space left on device");
    }
    return real_->append(bytes);
  }
  base::Result<size_t> read_at(uint64_t offset, char* out, size_t size) const override {
    PAYONCE_CHECK_OK(alive());
    if (env_.fails()) return injected();
    return real_->read_at(offset, out, size);
  }
  base::Result<uint64_t> size() const override {
    PAYONCE_CHECK_OK(alive());
    return real_->size();
  }
  base::Status sync() override {
    PAYONCE_CHECK_OK(alive());
    if (env_.fails()) return injected();
    PAYONCE_TRY(const uint64_t bytes, real_->size());
    const std::lock_guard lock(env_.mutex_);
    if (const auto at = env_.files_.find(path_); at != env_.files_.end()) at->second.synced_bytes = bytes;
    return {};
  }
  base::Status truncate(uint64_t bytes) override {
    PAYONCE_CHECK_OK(alive());
    return real_->truncate(bytes);
  }

 private:
  base::Status alive() const {
    if (life_ != env_.life_) return fail(Code::kUnavailable, "opened before the crash");
    return env_.alive();
  }
  CrashEnv& env_;
  const std::string path_;
  const std::unique_ptr<base::File> real_;
  const uint64_t life_;
};

CrashEnv::CrashEnv(uint64_t seed, std::string directory) : directory_(std::move(directory)), random_(seed) {
  fs::create_directories(directory_);
}

base::Status CrashEnv::alive() const {
  if (dead_) return fail(Code::kUnavailable, "crashed");
  return {};
}

uint64_t CrashEnv::draw(uint64_t below) {
  const std::lock_guard lock(mutex_);
  return random_() % below;
}

bool CrashEnv::fails() {
  const uint32_t one_in = one_in_;
  if (one_in == 0 || draw(one_in) != 0) return false;
  ++faults_;
  return true;
}

base::Result<std::unique_ptr<base::File>> CrashEnv::open(const std::string& path, Mode mode) {
  PAYONCE_CHECK_OK(alive());
  if (fails()) return injected();
  const bool is_new = !real_.exists(path);
  PAYONCE_TRY(auto file, real_.open(path, mode));
  if (is_new) {
    const std::lock_guard lock(mutex_);
    files_[path] = {};
  }
  return std::make_unique<CrashFile>(*this, path, std::move(file));
}

base::Status CrashEnv::make_directories(const std::string& path) {
  PAYONCE_CHECK_OK(alive());
  return real_.make_directories(path);
}

base::Result<std::vector<std::string>> CrashEnv::list(const std::string& directory) const {
  PAYONCE_CHECK_OK(alive());
  return real_.list(directory);
}

base::Status CrashEnv::remove(const std::string& path) {
  PAYONCE_CHECK_OK(alive());
  if (!real_.exists(path)) return fail(Code::kNotFound, path);
  if (fails()) {
    ++failed_removals_;
    return injected();
  }
  const std::lock_guard lock(mutex_);
  const std::string kept_as = directory_ + "/" + std::to_string(++removals_);
  PAYONCE_CHECK_OK(real_.rename(path, kept_as));
  State state{.synced_bytes = ~uint64_t{0}, .entry_synced = true};  // of an earlier life: all of it is on the disk
  if (const auto at = files_.find(path); at != files_.end()) {
    state = at->second;
    files_.erase(at);
  }
  removed_.push_back({.path = path, .kept_as = kept_as, .state = state});
  return {};
}

base::Status CrashEnv::rename(const std::string& from, const std::string& to) {
  PAYONCE_CHECK_OK(alive());
  return real_.rename(from, to);
}

base::Status CrashEnv::sync_directory(const std::string& path) {
  PAYONCE_CHECK_OK(alive());
  if (fails()) {
    ++failed_removals_;
    return injected();
  }
  const std::lock_guard lock(mutex_);
  const auto is_here = [&](const std::string& file) { return fs::path(file).parent_path() == fs::path(path); };
  for (auto& [name, state] : files_) state.entry_synced |= is_here(name);
  std::erase_if(removed_,
                [&](const Removed& removed) { return is_here(removed.path) && fs::remove(removed.kept_as); });
  return {};
}

bool CrashEnv::exists(const std::string& path) const { return !dead_ && real_.exists(path); }

void CrashEnv::settle(const std::string& path, State& state) {
  if (!state.entry_synced && random_() % 2 == 0) {
    fs::remove(path);
    return;
  }
  const uint64_t size = fs::file_size(path);
  if (size <= state.synced_bytes) return;
  const uint64_t kept = state.synced_bytes + random_() % (size - state.synced_bytes + 1);
  fs::resize_file(path, kept);
  const uint64_t torn_from = state.synced_bytes + random_() % (kept - state.synced_bytes + 1);
  const uint64_t kind = random_() % 3;  // whole up to its end, zeros, garbage
  if (kind == 0 || torn_from == kept) return;
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(torn_from));
  for (uint64_t at = torn_from; at < kept; ++at) file.put(kind == 1 ? '\0' : static_cast<char>(random_()));
}

void CrashEnv::revive() {
  const std::lock_guard lock(mutex_);
  for (auto& [path, state] : files_) {
    if (real_.exists(path)) settle(path, state);
  }
  for (Removed& removed : removed_) {
    if (random_() % 2 == 0 && !real_.exists(removed.path)) {
      fs::rename(removed.kept_as, removed.path);
      settle(removed.path, removed.state);
    } else {
      fs::remove(removed.kept_as);
    }
  }
  files_.clear();  // what is there now is on the disk
  removed_.clear();
  ++life_;
  dead_ = false;
}

}  // namespace payonce::crash
