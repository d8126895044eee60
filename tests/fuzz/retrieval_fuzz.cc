// Requests to vector stores and their answers. The first byte is the store; a line "METHOD target", then the body.
// What is a query has a spelling; a list comes back from its rows; and SQL holds no byte of a value.
#include <algorithm>
#include <string>

#include "fuzz.h"
#include "retrieval/classify.h"
#include "retrieval/postgres/search_request.h"
#include "retrieval/result_list.h"

namespace {

using namespace payonce::retrieval;

void check_list(StoreKind kind, std::string_view body) {
  (void)is_good_list(body);
  (void)ids_of(kind, body);
  const auto list = parse_list(kind, body);
  if (!list) return;
  const std::string written = render_list(kind, list->frame, list->rows);
  const auto again = parse_list(kind, written);
  PAYONCE_FUZZ_CHECK(again && again->rows.size() == list->rows.size());
  for (size_t i = 0; i < list->rows.size(); ++i) PAYONCE_FUZZ_CHECK(again->rows[i].id == list->rows[i].id);
}

void check_sql(std::string_view body) {
  const auto request = SearchRequest::parse(body);
  if (!request || request->vector.empty()) return;
  const Statement statement = to_sql(*request, "embedding", Distance::kCosine);
  size_t quotes = 0;
  for (const char c : statement.sql) quotes += c == '"';
  PAYONCE_FUZZ_CHECK(quotes % 2 == 0);
  for (size_t i = 1; i <= statement.parameters.size(); ++i)
    PAYONCE_FUZZ_CHECK(statement.sql.find("$" + std::to_string(i)) != std::string::npos);
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const auto kind = static_cast<StoreKind>(data[0] % 4);
  const std::string_view text = payonce::fuzz::text(data + 1, size - 1);
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end), body = text.substr(std::min(end + 1, text.size()));
  const size_t space = std::min(line.find(' '), line.size());
  const StoreRules rules{
      .name = "s", .kind = kind, .read = {"POST /v1/*/search"}, .write = {}, .query_path = {"vector", "0"}};
  const Classified classified = classify(rules, {.method = line.substr(0, space),
                                                 .target = line.substr(std::min(space + 1, line.size())),
                                                 .body = body,
                                                 .readable = data[0] < 128});
  if (classified.act == Act::kQuery)
    PAYONCE_FUZZ_CHECK(classified.query.vector.empty() || classified.query.text.empty());
  check_list(kind, body);
  check_sql(body);
  return 0;
}
