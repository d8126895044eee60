#include "embed/vector.h"

#include <cmath>
#include <numeric>

#include "base/assert.h"

namespace payonce::embed {

base::Status normalize(std::span<float> vector) {
  const float squares = std::inner_product(vector.begin(), vector.end(), vector.begin(), 0.0F);
  if (!std::isfinite(squares) || squares <= 0) {
    return base::fail(base::Code::kInternal, "the model gave a vector without a direction (damaged weights?)");
  }
  const float factor = 1 / std::sqrt(squares);
  for (float& each : vector) each *= factor;
  return {};
}

base::Status truncate(std::vector<float>& vector, int32_t dimensions) {
  PAYONCE_ASSERT(dimensions > 0 && static_cast<size_t>(dimensions) <= vector.size());
  vector.resize(static_cast<size_t>(dimensions));
  return normalize(vector);
}

}  // namespace payonce::embed
