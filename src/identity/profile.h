// Agent profiles: which parts of an agent's requests are envelope and do not reach the model. Each is a data file
// (profiles/*.toml, embedded at build), versioned: the version is part of the hashed bytes.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/headers.h"

namespace payonce::identity {

class Profile;  // rules of one profile, compiled

// All profiles. Threads: read-only after load.
class Profiles {
 public:
  static base::Result<Profiles> built_in();
  // By User-Agent, x-app, originator; the generic profile when none matches.
  const Profile& match(const net::Headers& headers) const;
  const Profile* find(std::string_view name) const;
  std::vector<std::string> names() const;

 private:
  std::vector<std::shared_ptr<const Profile>> profiles_;
};

}  // namespace payonce::identity
