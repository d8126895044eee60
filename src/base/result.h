// Errors as values. A miss is not an error (see cache/); an Error says what was expected, what was found, and what to
// do. Threads: values, any.  Exceptions come from libraries only and become an Error where the library is called.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace payonce::base {

enum class Code {
  kInvalid,       // the caller's input is wrong (400)
  kUnauthorized,  // no or an unknown credential (401)
  kForbidden,     // known, but not allowed (403)
  kNotFound,      // (404)
  kTooLarge,      // over a named limit (413)
  kExhausted,     // rate, budget or queue limit (429)
  kTimeout,       // (504)
  kUnavailable,   // upstream or resource out of reach (502)
  kCorrupt,       // stored or received bytes fail their check (500)
  kCancelled,     // the caller left (499)
  kInternal,      // our own fault (500)
};

std::string_view code_name(Code code);  // snake_case, as in metrics labels and logs
int code_http_status(Code code);

struct [[nodiscard]] Error {
  Code code = Code::kInternal;
  std::string message;
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> fail(Code code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}
inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

}  // namespace payonce::base

#define PAYONCE_CONCAT_INNER(a, b) a##b
#define PAYONCE_CONCAT(a, b) PAYONCE_CONCAT_INNER(a, b)
// PAYONCE_TRY(auto value, expression): declares value from a Result, or returns its Error to our caller.
#define PAYONCE_TRY(declaration, expression)                                                 \
  auto PAYONCE_CONCAT(payonce_try_, __LINE__) = (expression);                                \
  if (!PAYONCE_CONCAT(payonce_try_, __LINE__))                                               \
    return ::payonce::base::fail(std::move(PAYONCE_CONCAT(payonce_try_, __LINE__).error())); \
  declaration = std::move(*PAYONCE_CONCAT(payonce_try_, __LINE__))
// PAYONCE_CHECK_OK(expression): the same for a Status.
#define PAYONCE_CHECK_OK(expression)                                                      \
  do {                                                                                    \
    auto payonce_status = (expression);                                                   \
    if (!payonce_status) return ::payonce::base::fail(std::move(payonce_status.error())); \
  } while (false)
