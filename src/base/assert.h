// PAYONCE_ASSERT stays on in release: it throws AssertionFailed, which the request boundary turns into "this request
// bypasses the caches"; a store's writer lets it end the write before doubtful bytes reach the disk.
#pragma once

#include <stdexcept>

namespace payonce::base {

class AssertionFailed : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace payonce::base

#define PAYONCE_ASSERT(expression) \
  (static_cast<bool>(expression) ? void(0) : ::payonce::base::assertion_failed(#expression, __FILE__, __LINE__))
