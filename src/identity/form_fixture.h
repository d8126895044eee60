// For tests only: the canonical form of a body under the built-in profiles.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "identity/canonical.h"
#include "identity/profile.h"
#include "llm/request.h"

namespace payonce::identity {

inline const Profiles& profiles() {
  static const Profiles kProfiles = Profiles::built_in().value();
  return kProfiles;
}

inline std::string form(llm::Dialect dialect, std::string_view body, std::string_view profile = "generic") {
  const auto request = llm::parse_request(dialect, base::Bytes::copy(body));
  if (!request) throw std::runtime_error(request.error().message);
  return canonical_form(*request, profiles(), *profiles().find(profile));
}

}  // namespace payonce::identity
