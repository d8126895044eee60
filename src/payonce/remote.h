// Calls to the admin API of a running instance, for the command line.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace payonce {

struct Remote {
  std::string url;              // "http://127.0.0.1:4141"; empty: $PAYONCE_URL, else the default
  std::string token;            // empty: $PAYONCE_ADMIN_TOKEN, else the file that an instance of this user left
  int64_t timeout_ms = 30'000;  // to the first byte of an answer, and between two
};

// The body of a 200 answer. kUnavailable when no instance answers (with what to do), kInvalid with the instance's
// message. Blocks; one thread.
base::Result<std::string> call(const Remote& remote, std::string_view method, const std::string& target,
                               std::string body = {});

// A member of an answer; throws where it is missing or no integer, as boost::json does.
inline int64_t number(const boost::json::value& from, std::string_view name) {
  return from.at(name).to_number<int64_t>();
}

// The URL that call() uses.
std::string address_of(const Remote& remote);

std::string percent_encoded(std::string_view text);

}  // namespace payonce
