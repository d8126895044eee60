// Any body that parses has a canonical form, the same one after a change of white space, in every dialect and
// profile.
#include <string>

#include "fuzz.h"
#include "identity/canonical.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using payonce::llm::Dialect;
  static const payonce::identity::Profiles kProfiles = payonce::identity::Profiles::built_in().value();
  if (size < 1) return 0;
  const auto dialect = static_cast<Dialect>(data[0] % static_cast<uint8_t>(Dialect::kOther));
  const std::string body(payonce::fuzz::text(data + 1, size - 1));
  const auto request = payonce::llm::parse_request(dialect, payonce::base::Bytes(body));
  const auto spaced = payonce::llm::parse_request(dialect, payonce::base::Bytes(" \n" + body + "\t"));
  PAYONCE_FUZZ_CHECK(request.has_value() == spaced.has_value());
  if (!request) return 0;
  for (const std::string& name : kProfiles.names()) {
    const payonce::identity::Profile& profile = *kProfiles.find(name);
    PAYONCE_FUZZ_CHECK(payonce::identity::canonical_form(*request, kProfiles, profile) ==
                       payonce::identity::canonical_form(*spaced, kProfiles, profile));
  }
  return 0;
}
