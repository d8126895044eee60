#include "embed/vector.h"

#include <algorithm>
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

float quantise_int8(std::span<const float> vector, int8_t* out) {
  float largest = 0;
  for (const float value : vector) largest = std::max(largest, std::fabs(value));
  const float scale = largest / 127;
  for (size_t d = 0; d < vector.size(); ++d)
    out[d] = scale > 0 ? static_cast<int8_t>(std::clamp(std::lrint(vector[d] / scale), -127L, 127L)) : int8_t{0};
  return scale;
}

}  // namespace payonce::embed
