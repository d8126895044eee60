#include "base/result.h"

namespace payonce::base {
namespace {
struct Row {
  std::string_view name;
  int status;
};
constexpr Row kRows[] = {
    {"invalid", 400},   {"unauthorized", 401}, {"forbidden", 403}, {"not_found", 404},
    {"too_large", 413}, {"exhausted", 429},    {"timeout", 504},   {"unavailable", 502},
    {"corrupt", 500},   {"cancelled", 499},    {"internal", 500},
};
}  // namespace

std::string_view code_name(Code code) { return kRows[static_cast<size_t>(code)].name; }
int code_http_status(Code code) { return kRows[static_cast<size_t>(code)].status; }

}  // namespace payonce::base
