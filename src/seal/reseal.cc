#include "seal/reseal.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <optional>

#include "base/directory_lock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/numbered_file.h"
#include "seal/sealed_env.h"
#include "seal/sealed_file.h"

namespace payonce::seal {
namespace {

using base::Code;
using base::Env;
using base::fail;
using base::kUnfinished;

constexpr size_t kCopyBytes = 1 << 20;
constexpr std::chrono::seconds kSayEvery{2};

std::vector<std::string> names_in(const Env& env, const std::string& root, const Places& places) {
  std::vector<std::string> out = places.files;
  for (const Places::Folder& folder : places.folders) {
    if (!env.exists(root + "/" + folder.name)) continue;
    const auto names = env.list(root + "/" + folder.name);
    if (!names) continue;  // its store says why
    for (const std::string& name : *names) {
      const std::string finished =
          name.ends_with(kUnfinished) ? name.substr(0, name.size() - kUnfinished.size()) : name;
      if (base::number_of_file(finished, folder.extension) == 0) continue;
      if (std::ranges::find(out, folder.name + "/" + finished) == out.end())
        out.push_back(folder.name + "/" + finished);
    }
  }
  return out;
}

base::Result<Look> look_at(Env& env, const std::string& path, FileHeader& header, uint64_t& size) {
  PAYONCE_TRY(const auto file, env.open(path, Env::Mode::kReadOnly));
  PAYONCE_TRY(size, file->size());
  std::string bytes(kFileHeaderBytes, '\0');
  PAYONCE_TRY(const size_t got, file->read_at(0, bytes.data(), bytes.size()));
  return decode_file_header(std::string_view(bytes).substr(0, got), header);
}

tl::unexpected<base::Error> missing_key(const std::string& path, const std::string& id,
                                        const Protection& protection) {
  return fail(
      Code::kForbidden,
      fmt::format("{} is sealed under key {}, {}. Name the file with that key as encryption.key_file (or put it "
                  "into PAYONCE_ENCRYPTION_KEY), or choose another --data; nothing was changed",
                  path, base::hex(id),
                  protection.keys ? fmt::format("which is not among the keys that were given (the first is {})",
                                                base::hex(protection.keys->first().id()))
                                  : std::string("and no key was given")));
}

base::Status copy(const base::File& from, base::File& to) {
  PAYONCE_TRY(const uint64_t size, from.size());
  std::string part;
  for (uint64_t at = 0; at < size; at += part.size()) {
    part.resize(static_cast<size_t>(std::min<uint64_t>(kCopyBytes, size - at)));
    PAYONCE_TRY(const size_t got, from.read_past_damage(at, part.data(), part.size()));
    if (got != part.size()) return fail(Code::kUnavailable, "it became shorter while it was read");
    PAYONCE_CHECK_OK(to.append(part));
  }
  return to.sync();
}

// Locks of the folders that are changed, so that no store of another process works on what is replaced.
class Locks {
 public:
  base::Status take(const std::string& root, const std::string& name) {
    const size_t slash = name.find('/');
    if (slash == std::string::npos) return {};
    const std::string folder = root + "/" + name.substr(0, slash);
    if (taken_.contains(folder)) return {};
    auto lock = base::DirectoryLock::take(folder);
    if (!lock)
      return fail(Code::kUnavailable, fmt::format("{} has to be sealed, but is in use: {}; end that process first",
                                                  folder, lock.error().message));
    taken_.emplace(folder, *std::move(lock));
    return {};
  }

 private:
  std::map<std::string, base::DirectoryLock> taken_;
};

base::Status seal_file(Env& plain, Env& sealed, const std::string& path, bool is_plain) {
  const std::string unfinished = path + std::string(kUnfinished);
  if (plain.exists(unfinished)) PAYONCE_CHECK_OK(plain.remove(unfinished));
  {
    PAYONCE_TRY(const auto from, (is_plain ? plain : sealed).open(path, Env::Mode::kReadOnly));
    PAYONCE_TRY(const auto to, sealed.open(unfinished, Env::Mode::kAppend));
    PAYONCE_CHECK_OK(copy(*from, *to));
  }
  PAYONCE_CHECK_OK(plain.rename(unfinished, path));
  return plain.sync_directory(std::filesystem::path(path).parent_path().string());
}

}  // namespace

base::Result<Survey> survey(Env& env, const std::string& root, const Places& places, const Protection& protection) {
  Survey out;
  for (const std::string& name : names_in(env, root, places)) {
    const std::string path = root + "/" + name;
    if (env.exists(path + std::string(kUnfinished))) out.unfinished.push_back(name + std::string(kUnfinished));
    if (!env.exists(path)) continue;
    FileHeader header;
    uint64_t size = 0;
    const auto look = look_at(env, path, header, size);
    if (!look) continue;  // as above
    if (*look == Look::kSealed && (!protection.keys || protection.keys->find(header.key_id) == nullptr))
      return missing_key(path, header.key_id, protection);
    if (!protection.keys || *look == Look::kEmpty || *look == Look::kDamaged) continue;
    if (*look == Look::kSealed && header.key_id == protection.keys->first().id()) {
      ++out.sealed;
      continue;
    }
    (*look == Look::kPlain ? out.plain : out.other_key).push_back(name);
    out.bytes += size;
  }
  if (protection.keys && !protection.take_plaintext && !out.plain.empty())
    return fail(Code::kForbidden,
                fmt::format("{}/{} and {} more are not sealed, and encryption.plaintext is \"refuse\": set it to "
                            "\"seal\" for one start if they are yours, or remove them; nothing was changed",
                            root, out.plain.front(), out.plain.size() - 1));
  return out;
}

base::Status reseal(Env& env, const std::string& root, const Survey& survey, const KeysPtr& keys,
                    base::Metrics& metrics) {
  const size_t count = survey.plain.size() + survey.other_key.size();
  if (count == 0) return {};  // what is unfinished then, another process may be writing
  for (const std::string& name : survey.unfinished) PAYONCE_CHECK_OK(env.remove(root + "/" + name));
  base::log_info("{}: sealing {} files, {:.1f} MiB, under key {}; {} of them were not sealed", root, count,
                 static_cast<double>(survey.bytes) / (1 << 20), base::hex(keys->first().id()), survey.plain.size());
  SealedEnv sealed(env, root, keys, metrics);
  Locks locks;
  size_t done = 0;
  auto said = std::chrono::steady_clock::now();
  const auto seal_all = [&](const std::vector<std::string>& names, bool plain) -> base::Status {
    for (const std::string& name : names) {
      PAYONCE_CHECK_OK(locks.take(root, name));
      if (auto status = seal_file(env, sealed, root + "/" + name, plain); !status)
        return fail(status.error().code, fmt::format("{}/{} cannot be sealed: {}; {} of {} files are", root, name,
                                                     status.error().message, done, count));
      ++done;
      if (const auto now = std::chrono::steady_clock::now(); now - said > kSayEvery) {
        base::log_info("{}: {} of {} files sealed", root, done, count);
        said = now;
      }
    }
    return {};
  };
  PAYONCE_CHECK_OK(seal_all(survey.plain, true));
  PAYONCE_CHECK_OK(seal_all(survey.other_key, false));
  base::log_info("{}: {} files sealed", root, count);
  return {};
}

}  // namespace payonce::seal
