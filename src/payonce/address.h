// Where an instance listens, as text and as parts.  Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "config/settings.h"

namespace payonce {

struct Address {
  std::string host;
  uint16_t port = 0;
};
base::Result<Address> parse_listen(const std::string& text);  // "127.0.0.1:4141"

std::string url_of(const config::Settings& settings, uint16_t port);  // "http://127.0.0.1:4141"

}  // namespace payonce
