#include "base/assert.h"

#include <fmt/format.h>

namespace payonce::base {

void assertion_failed(const char* expression, const char* file, int line) {
  throw AssertionFailed(fmt::format("{}:{}: assertion failed: {}", file, line, expression));
}

}  // namespace payonce::base
