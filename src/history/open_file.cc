#include "history/open_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "history/decompress.h"

namespace payonce::history {
namespace {

using base::Code;

constexpr uint64_t kMappedFromBytes = uint64_t{64} << 10;  // a process may have some 65,000 mappings

base::Status read_all(const Descriptor& from, char* to, size_t size) {
  for (size_t at = 0; at < size;) {
    const ssize_t got = ::read(from.get(), to + at, size - at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return base::fail(Code::kUnavailable, "cannot be read: it became shorter");
    at += static_cast<size_t>(got);
  }
  return {};
}

// Pipes have no size: they are copied to a file first.
base::Result<Descriptor> copied(const Descriptor& from, uint64_t limit_bytes, uint64_t& size) {
  PAYONCE_TRY(Descriptor to, temporary_file());
  std::string buffer(size_t{1} << 20, '\0');
  for (size = 0;;) {
    const ssize_t got = ::read(from.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::fail(Code::kUnavailable, std::string("cannot be read: ") + std::strerror(errno));
    if (got == 0) return to;
    for (ssize_t at = 0; at < got;) {
      const ssize_t done = ::write(to.get(), buffer.data() + at, static_cast<size_t>(got - at));
      if (done < 0 && errno != EINTR)
        return base::fail(Code::kExhausted, std::string("no room for a temporary file: ") + std::strerror(errno));
      at += std::max<ssize_t>(done, 0);
    }
    size += static_cast<uint64_t>(got);
    if (size > limit_bytes) return base::fail(Code::kTooLarge, fmt::format("larger than {} bytes", limit_bytes));
  }
}

base::Result<std::string_view> text_of(Log& log, const Descriptor& file, uint64_t size) {
  if (size >= kMappedFromBytes) {
    PAYONCE_TRY(Mapping mapping, Mapping::of(file, size));
    return log.mappings.emplace_back(std::move(mapping)).view();
  }
  if (size == 0) return std::string_view();
  char* const to = log.arena.room(size);
  ::lseek(file.get(), 0, SEEK_SET);
  PAYONCE_CHECK_OK(read_all(file, to, size));
  return std::string_view(to, size);
}

}  // namespace

base::Result<Opened> open_file(Log& log, const std::string& name, const Limits& limits) {
  Descriptor file(name == "-" ? ::dup(STDIN_FILENO) : ::open(name.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return base::fail(Code::kNotFound, std::string("cannot be opened: ") + std::strerror(errno));
  struct stat facts{};
  if (::fstat(file.get(), &facts) != 0) return base::fail(Code::kUnavailable, std::strerror(errno));
  if (S_ISDIR(facts.st_mode)) return base::fail(Code::kInvalid, "is a folder");
  auto size = static_cast<uint64_t>(facts.st_size);
  if (!S_ISREG(facts.st_mode)) {
    PAYONCE_TRY(file, copied(file, limits.file_bytes, size));
  }
  if (size > limits.file_bytes)
    return base::fail(Code::kTooLarge, fmt::format("larger than {} bytes", limits.file_bytes));
  Opened out;
  out.disk_bytes = size;
  PAYONCE_TRY(out.text, text_of(log, file, size));
  out.mapped = size >= kMappedFromBytes;
  const Packing packing = packing_of(out.text);
  if (packing == Packing::kNone) return out;
  PAYONCE_TRY(const Descriptor plain, temporary_file());
  uint64_t written = 0;
  if (const base::Status done = unpack(packing, out.text, plain, limits.file_bytes, written); !done)
    out.damage = done.error().message;
  PAYONCE_TRY(out.text, text_of(log, plain, written));
  out.mapped = written >= kMappedFromBytes;
  return out;
}

}  // namespace payonce::history
