// Heads of requests: never accepted with two framings, with a line that could split one, or without the limits.
#include <string>

#include "fuzz.h"
#include "net/http1_head.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace payonce::net;
  const std::string_view text = payonce::fuzz::text(data, size);
  size_t position = 0;
  if (find_head_end(text, position) != HeadEnd::kFound) return 0;
  PAYONCE_FUZZ_CHECK(position <= text.size());
  const auto head = parse_http1_head(text.substr(0, position), Limits());
  if (!head) {
    PAYONCE_FUZZ_CHECK(head.error().status >= 400 && head.error().status < 600);
    return 0;
  }
  PAYONCE_FUZZ_CHECK(!(head->chunked && head->content_length));
  PAYONCE_FUZZ_CHECK(head->request.target.starts_with('/') || head->request.target == "*");
  head->request.headers.for_each([](std::string_view name, std::string_view value) {
    PAYONCE_FUZZ_CHECK(!name.empty() && name.find_first_of(" \t:\r\n") == std::string_view::npos);
    PAYONCE_FUZZ_CHECK(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
    PAYONCE_FUZZ_CHECK(!equals_ignoring_case(name, "transfer-encoding") &&
                       !equals_ignoring_case(name, "content-length"));
  });
  return 0;
}
