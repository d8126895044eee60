// Random bytes as a log: the first byte says as which format, and if unpacked first; then every view and index of
// what was read must be good, and token counts not negative.
#include "fuzz.h"
#include "history/decompress.h"
#include "history/rebuilds.h"
#include "history/records.h"
#include "history/totals.h"

namespace {

namespace history = payonce::history;

constexpr uint8_t kFormats = 10;
constexpr uint64_t kUnpackedBytes = 1 << 20;

size_t touch(std::string_view view) {
  size_t sum = 0;
  for (const char c : view) sum += static_cast<unsigned char>(c);
  return sum;
}

void check(const history::Log& log, const history::Call& call) {
  PAYONCE_FUZZ_CHECK(call.file < log.files.size());
  for (const std::string_view view :
       {call.id, call.session, call.user, call.model, call.provider, call.request, call.response})
    touch(view);
  for (const int64_t count :
       {call.usage.fresh, call.usage.read, call.usage.write_short, call.usage.write_long, call.usage.output})
    PAYONCE_FUZZ_CHECK(count >= 0);
  if (call.heard.conversation == SIZE_MAX) return;
  const auto& pieces = log.conversations.at(call.heard.conversation);
  PAYONCE_FUZZ_CHECK(call.heard.begin <= call.heard.end && call.heard.end <= pieces.size());
  for (size_t i = call.heard.begin; i < call.heard.end; ++i) touch(pieces[i].raw);
}

void unpack(std::string_view text) {
  const auto packing = history::packing_of(text);
  if (packing == history::Packing::kNone) return;
  const auto file = history::temporary_file();
  uint64_t written = 0;
  if (file) (void)history::unpack(packing, text, *file, kUnpackedBytes, written);
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text = payonce::fuzz::text(data + 1, size - 1);
  if (data[0] == 255) {
    unpack(text);
    return 0;
  }
  history::Options options;
  if (data[0] < kFormats) options.format = static_cast<history::Format>(data[0]);
  options.limits.skipped = 3;
  options.limits.record_bytes = 4096;
  const history::Log log = history::read_sources({{"a", text}, {"b", text.substr(text.size() / 2)}}, options);
  for (const history::Call& call : log.calls) check(log, call);
  PAYONCE_FUZZ_CHECK(log.skipped.size() <= 3 && log.skipped.size() <= log.skipped_count());
  static const auto prices = payonce::llm::PriceTable::built_in();
  PAYONCE_FUZZ_CHECK(history::totals(log, prices).requests == log.calls.size());
  (void)history::rebuilds(log, prices);
  return 0;
}
