// Fields of an upstream's answer, a line each, then its body: one framing or an error, and any split of the body's
// bytes gives the same body.
#include <algorithm>
#include <string>

#include "fuzz.h"
#include "net/field_list.h"
#include "net/response_framing.h"

namespace {

using namespace payonce;

std::string read_body(net::BodyDecoder decoder, std::string_view input, size_t step) {
  std::string out;
  while (!input.empty() && !decoder.done()) {
    const auto next = decoder.next(input.substr(0, step));
    if (!next) return out + "!";
    PAYONCE_FUZZ_CHECK(next->consumed > 0 && next->consumed <= input.size());
    out += next->data;
    input.remove_prefix(next->consumed);
  }
  return out + (decoder.at_eof() ? "." : "?");
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  std::string_view rest = fuzz::text(data + 2, size - 2);
  net::Headers raw;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.empty()) break;
    const size_t colon = std::min(line.find(':'), line.size());
    raw.add(line.substr(0, colon), line.substr(std::min(colon + 1, line.size())));
  }
  (void)net::keeps_alive(data[0] % 2 == 0, raw);
  net::end_to_end_fields(raw).for_each([](std::string_view name, std::string_view) {
    PAYONCE_FUZZ_CHECK(!net::equals_ignoring_case(name, "transfer-encoding") &&
                       !net::equals_ignoring_case(name, "connection"));
  });
  const int status = 100 + data[1] * 2;
  const auto body = net::response_body(data[0] % 4 == 1 ? "HEAD" : "GET", status, raw);
  if (!body) return 0;
  const std::string whole = read_body(*body, rest, SIZE_MAX);
  PAYONCE_FUZZ_CHECK(whole == read_body(*body, rest, data[0] % 16 + 1u));
  return 0;
}
