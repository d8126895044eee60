// A sealed file of any bytes, and one of ours with bytes changed as the input says: whatever is read is what was
// sealed there, or zeros.
#include "fuzz.h"
#include "seal/sealed_file.h"

namespace {

using namespace payonce;

class MemoryFile final : public base::File {
 public:
  explicit MemoryFile(std::string& bytes) : bytes_(bytes) {}
  base::Status append(std::string_view more) override {
    bytes_ += more;
    return {};
  }
  base::Result<size_t> read_at(uint64_t offset, char* out, size_t size) const override {
    return offset > bytes_.size() ? 0 : bytes_.copy(out, size, offset);
  }
  base::Result<uint64_t> size() const override { return bytes_.size(); }
  base::Status sync() override { return {}; }
  base::Status truncate(uint64_t size) override {
    bytes_.resize(size);
    return {};
  }

 private:
  std::string& bytes_;
};

std::unique_ptr<seal::SealedFile> open(std::string& bytes) {
  static const seal::KeysPtr kKeys = seal::Keys::parse(std::string(64, 'f'), "fuzz").value();
  auto file = seal::SealedFile::open(std::make_unique<MemoryFile>(bytes), kKeys, "file", {});
  return file ? *std::move(file) : nullptr;
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input = fuzz::text(data, size);
  std::string any(input);
  if (const auto file = open(any)) {
    PAYONCE_FUZZ_CHECK(file->size() == 0u);  // nobody without the key makes a frame
    PAYONCE_FUZZ_CHECK(file->append("more").has_value());
  }
  std::string bytes, model;
  const auto file = open(bytes);
  for (size_t i = 0; i < 6; ++i) {
    const std::string part(1 + i * i * 300, static_cast<char>('a' + i));
    PAYONCE_FUZZ_CHECK(file->append(part).has_value());
    model += part;
  }
  for (size_t i = 0; i + 2 < input.size(); i += 3) {
    const size_t at = (data[i] * 256u + data[i + 1]) % bytes.size();
    bytes[at] = static_cast<char>(bytes[at] ^ static_cast<char>(data[i + 2]));
  }
  const auto again = open(bytes);
  if (!again) return 0;
  std::string back(model.size(), '\0');
  const auto got = again->read_past_damage(0, back.data(), back.size());
  PAYONCE_FUZZ_CHECK(got.has_value());
  for (size_t i = 0; i < back.size(); ++i) PAYONCE_FUZZ_CHECK(back[i] == model[i] || back[i] == '\0');
  return 0;
}
