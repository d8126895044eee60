// Bytes of a verifier's model, with a right checksum, too: a model that is taken has walks that end and a finite sum;
// and two texts of any bytes are judged.
#include <cmath>
#include <string>

#include "base/hash.h"
#include "fuzz.h"
#include "semantic/verifier/verifier.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace payonce;
  const std::string_view bytes = fuzz::text(data, size);
  (void)semantic::Verifier::parse(bytes);

  const base::Digest digest = base::sha256(bytes);
  std::string sealed(bytes);
  sealed.append(reinterpret_cast<const char*>(digest.data()), digest.size());
  const std::string_view names[] = {"a", "b"};
  if (const auto trees = semantic::Trees::parse(sealed, names)) {
    const float values[] = {0.5f, std::nanf("")};
    PAYONCE_FUZZ_CHECK(trees->tree_count() <= 4096);
    (void)trees->sum(values);
  }

  static const auto verifier = semantic::Verifier::built_in();
  PAYONCE_FUZZ_CHECK(verifier.has_value());
  const auto first = semantic::make_question(bytes.substr(0, size / 2), {});
  const auto second = semantic::make_question(bytes.substr(size / 2), {});
  const auto there = verifier->judge(first, second, {.cosine = 0.9f});
  const auto back = verifier->judge(second, first, {.cosine = 0.9f});
  PAYONCE_FUZZ_CHECK(std::isfinite(there.logit));
  PAYONCE_FUZZ_CHECK(there.logit == back.logit && there.conflict == back.conflict);
  return 0;
}
