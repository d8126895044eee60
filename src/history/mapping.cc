#include "history/mapping.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace payonce::history {
namespace {

using base::Code;

constexpr size_t kFileFromBytes = size_t{1} << 20;

}  // namespace

Descriptor::~Descriptor() {
  if (value_ >= 0) ::close(value_);
}

base::Result<Descriptor> temporary_file() {
  const char* const folder = std::getenv("TMPDIR");
  std::string path = (folder != nullptr && *folder != '\0' ? std::string(folder) : "/var/tmp") + "/payonce_XXXXXX";
  Descriptor file(::mkostemp(path.data(), O_CLOEXEC));
  if (file.get() < 0)
    return base::fail(Code::kUnavailable,
                      fmt::format("no temporary file {}: {}; set TMPDIR", path, std::strerror(errno)));
  ::unlink(path.c_str());
  return file;
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

base::Result<Mapping> Mapping::of(const Descriptor& file, size_t size) {
  if (size == 0) return Mapping();
  void* const data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (data == MAP_FAILED)
    return base::fail(Code::kUnavailable, std::string("cannot be mapped: ") + std::strerror(errno));
  ::madvise(data, size, MADV_SEQUENTIAL);
  return Mapping(static_cast<char*>(data), size);
}

void Mapping::release(size_t end) const {
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  if (data_ != nullptr && end <= size_) ::madvise(data_, end / page * page, MADV_DONTNEED);
}

base::Result<Mapping> Mapping::scratch(size_t size) {
  Descriptor file;
  if (size >= kFileFromBytes) {
    PAYONCE_TRY(file, temporary_file());
    if (const int error = ::posix_fallocate(file.get(), 0, static_cast<off_t>(size)); error != 0)
      return base::fail(Code::kExhausted, std::string("no room for a temporary file: ") + std::strerror(error));
  }
  const int how = file.get() < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  void* const data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, how, file.get(), 0);
  if (data == MAP_FAILED) return base::fail(Code::kExhausted, std::string("no memory: ") + std::strerror(errno));
  return Mapping(static_cast<char*>(data), size);
}

}  // namespace payonce::history
