#include "base/env.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace payonce::base {
namespace {

tl::unexpected<Error> errno_error(std::string_view what, const std::string& path) {
  const int error = errno;
  const Code code = error == ENOENT                      ? Code::kNotFound
                    : error == ENOSPC || error == EDQUOT ? Code::kExhausted
                                                         : Code::kUnavailable;
  return fail(code, fmt::format("cannot {} '{}': {}", what, path, std::strerror(error)));
}

class PosixFile final : public File {
 public:
  PosixFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;
  ~PosixFile() override { ::close(fd_); }

  Status append(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t wrote = ::write(fd_, bytes.data(), bytes.size());
      if (wrote < 0) {
        if (errno == EINTR) continue;
        return errno_error("append to", path_);
      }
      bytes.remove_prefix(static_cast<size_t>(wrote));
    }
    return {};
  }

  Result<size_t> read_at(uint64_t offset, char* out, size_t size) const override {
    size_t done = 0;
    while (done < size) {
      const ssize_t got = ::pread(fd_, out + done, size - done, static_cast<off_t>(offset + done));
      if (got < 0) {
        if (errno == EINTR) continue;
        return errno_error("read", path_);
      }
      if (got == 0) break;
      done += static_cast<size_t>(got);
    }
    return done;
  }

  Result<uint64_t> size() const override {
    struct stat info{};
    if (::fstat(fd_, &info) != 0) return errno_error("stat", path_);
    return static_cast<uint64_t>(info.st_size);
  }

  Status sync() override {
    if (::fdatasync(fd_) != 0) return errno_error("sync", path_);
    return {};
  }

  Status truncate(uint64_t size) override {
    if (::ftruncate(fd_, static_cast<off_t>(size)) != 0) return errno_error("truncate", path_);
    return {};
  }

 private:
  int fd_;
  std::string path_;
};

}  // namespace

Result<std::unique_ptr<File>> PosixEnv::open(const std::string& path, Mode mode) {
  const int flags = mode == Mode::kReadOnly ? O_RDONLY : O_RDWR | O_APPEND | O_CREAT;
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (fd < 0) return errno_error("open", path);
  return std::make_unique<PosixFile>(fd, path);
}

Status PosixEnv::make_directories(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return {};
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  if (!parent.empty() && parent != std::filesystem::path(path)) PAYONCE_CHECK_OK(make_directories(parent.string()));
  if (::mkdir(path.c_str(), 0700) == 0) return {};
  if (errno == EEXIST && std::filesystem::is_directory(path, error)) return {};  // another process was first
  return errno_error("create directory", path);
}

Result<std::vector<std::string>> PosixEnv::list(const std::string& directory) const {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator it(directory, error);
  for (; !error && it != std::filesystem::directory_iterator(); it.increment(error))
    names.push_back(it->path().filename().string());
  if (error) {
    errno = error.value();
    return errno_error("list", directory);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Status PosixEnv::remove(const std::string& path) {
  if (::unlink(path.c_str()) != 0) return errno_error("remove", path);
  return {};
}

Status PosixEnv::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return errno_error("rename", from);
  return {};
}

Status PosixEnv::sync_directory(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno_error("open directory", path);
  const bool ok = ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  errno = error;
  if (!ok) return errno_error("sync directory", path);
  return {};
}

bool PosixEnv::exists(const std::string& path) const { return ::access(path.c_str(), F_OK) == 0; }

Result<std::string> read_file(Env& env, const std::string& path) {
  PAYONCE_TRY(const auto file, env.open(path, Env::Mode::kReadOnly));
  PAYONCE_TRY(const uint64_t size, file->size());
  std::string content(size, '\0');
  PAYONCE_TRY(const size_t got, file->read_at(0, content.data(), content.size()));
  content.resize(got);
  return content;
}

Status write_file_atomic(Env& env, const std::string& path, std::string_view content) {
  const std::string temporary = path + std::string(kUnfinished);
  if (env.exists(temporary)) PAYONCE_CHECK_OK(env.remove(temporary));
  {
    PAYONCE_TRY(const auto file, env.open(temporary, Env::Mode::kAppend));
    PAYONCE_CHECK_OK(file->append(content));
    PAYONCE_CHECK_OK(file->sync());
  }
  PAYONCE_CHECK_OK(env.rename(temporary, path));
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return env.sync_directory(parent.empty() ? "." : parent);
}

}  // namespace payonce::base
