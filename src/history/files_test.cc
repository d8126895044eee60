// Files in every wrapping, and lines that are none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lzma.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "base/temporary_directory.h"
#include "history/rebuilds.h"
#include "history/records.h"
#include "history/totals.h"
#include "source_tree/source_tree.h"

namespace payonce::history {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

namespace fs = std::filesystem;

class Folder {
 public:
  std::string write(const std::string& name, std::string_view text) const {
    const fs::path path = fs::path(directory_.path()) / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return path.string();
  }
  std::string path() const { return directory_.path(); }

 private:
  base::TemporaryDirectory directory_;
};

std::string text_of(const std::string& name) {
  std::ifstream file(source_tree::path("src/history/testdata/" + name), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string gzip(std::string_view text) {
  std::string out(compressBound(static_cast<uLong>(text.size())) + 64, '\0');
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd(std::string_view text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

std::string xz(std::string_view text) {
  std::string out(lzma_stream_buffer_bound(text.size()), '\0');
  size_t size = 0;
  EXPECT_EQ(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, nullptr, reinterpret_cast<const uint8_t*>(text.data()),
                                    text.size(), reinterpret_cast<uint8_t*>(out.data()), &size, out.size()),
            LZMA_OK);
  out.resize(size);
  return out;
}

// What must not depend on how a log is wrapped.
std::string sums(const Log& log) {
  static const llm::PriceTable prices = llm::PriceTable::built_in();
  const Totals all = totals(log, prices);
  std::ostringstream out;
  out << all.requests << ' ' << all.usage.fresh << ' ' << all.usage.read << ' ' << all.usage.write_short << ' '
      << all.usage.write_long << ' ' << all.usage.output << ' ' << std::llround(all.cost_usd * 1e9) << ' '
      << log.skipped_count();
  return out.str();
}

TEST(Files, PackedOnesReadAsPlainOnes) {
  const Folder folder;
  for (const std::string name : {"rows.jsonl", "claude_code/11111111.jsonl", "lite_llm.csv", "gemini_cli.json"}) {
    const std::string plain = text_of(name);
    const std::string expected = sums(read_sources({{name, plain}}));
    EXPECT_NE(expected.substr(0, 2), "0 ");
    // The ending does not say what it is; the first bytes do. Members and frames may follow each other.
    EXPECT_EQ(sums(read({folder.write("a.jsonl", gzip(plain))})), expected);
    EXPECT_EQ(sums(read({folder.write("a.zst", zstd(plain))})), expected);
    EXPECT_EQ(sums(read({folder.write("a.xz", xz(plain))})), expected);
    const std::string head = plain.substr(0, 700), tail = plain.substr(700);
    EXPECT_EQ(sums(read({folder.write("b.gz", gzip(head) + gzip(tail))})), expected);
    EXPECT_EQ(sums(read({folder.write("b.zst", zstd(head) + zstd(tail))})), expected);
  }
}

TEST(Files, ADamagedPackedFileGivesWhatCameBeforeAndSaysSo) {
  const Folder folder;
  std::string text;
  std::mt19937 draw(1);
  for (int i = 0; i < 3000; ++i)
    text += R"({"messages":[{"role":"user","content":")" + std::to_string(draw()) + "\"}]}\n";
  for (const std::string& packed : {gzip(text), zstd(text), xz(text)}) {
    const Log log = read({folder.write("cut.gz", packed.substr(0, packed.size() / 2))});
    ASSERT_FALSE(log.skipped.empty());
    EXPECT_THAT(log.skipped.back().why, HasSubstr("too early"));
    EXPECT_EQ(log.skipped.back().line, 0U);
  }
  EXPECT_GT(read({folder.write("cut.gz", gzip(text).substr(0, 20'000))}).calls.size(), 100U);
  const Log bomb = read({folder.write("bomb.gz", gzip(text))}, {.limits = {.file_bytes = 40'000}});
  ASSERT_FALSE(bomb.skipped.empty());
  EXPECT_THAT(bomb.skipped.back().why, HasSubstr("unpacks to more than"));
}

TEST(Files, FoldersGlobsAndWhatIsMissing) {
  const Folder folder;
  const std::string rows = text_of("rows.jsonl");
  folder.write("a/one.jsonl", R"({"messages":[{"role":"user","content":"1"}]})");
  folder.write("a/b/two.ndjson.gz", gzip(R"({"messages":[{"role":"user","content":"2"}]})"));
  folder.write("a/picture.png", "no log");
  EXPECT_EQ(read({folder.path()}).calls.size(), 2U);
  EXPECT_EQ(read({folder.path() + "/a/*.jsonl"}).calls.size(), 1U);
  const Log none = read({folder.path() + "/none.jsonl", folder.path() + "/a/one.jsonl"});
  EXPECT_EQ(none.calls.size(), 1U);
  EXPECT_TRUE(none.unreadable);
  ASSERT_EQ(none.skipped.size(), 1U);
  EXPECT_THAT(none.files[none.skipped[0].file].name, HasSubstr("none.jsonl"));
  EXPECT_EQ(none.skipped[0].why, "no such file");
  EXPECT_EQ(read({folder.write("empty.jsonl", "")}).skipped_count(), 0U);
}

TEST(Files, LargeOnesAreMappedAndProgressIsTold) {
  const Folder folder;
  std::string text;
  while (text.size() < 10'000'000)
    text += R"({"messages":[{"role":"user","content":")" + std::string(5000, 'x') + "\"}]}\n";
  const std::string path = folder.write("large.jsonl", text);
  std::vector<uint64_t> seen;
  uint64_t whole = 0;
  const Log log = read({path}, {.progress = [&](uint64_t done, uint64_t total) {
                         seen.push_back(done);
                         whole = total;
                       }});
  EXPECT_EQ(log.mappings.size(), 1U);
  EXPECT_GE(seen.size(), 2U);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(seen.back(), text.size());
  EXPECT_EQ(whole, text.size());
  EXPECT_EQ(log.bytes_read, text.size());
}

TEST(Lines, MalformedOnesAreCountedByReasonAndNeverFatal) {
  const std::string text = std::string("{\"messages\":[]}\nnot json\n\n[1]\n{\"x\":1}\n{\"messages\":[]") + "\n" +
                           "{\"messages\":[\"\xff\"]}\n" + std::string(300, ' ') + "\n" + "{\"messages\":[]}\r\n" +
                           R"({"request":"{not json"})";
  const Log log = read_sources({{"a.jsonl", text}});
  EXPECT_EQ(log.calls.size(), 2U);
  EXPECT_EQ(log.skipped_count(), 6U);
  std::vector<uint64_t> lines;
  for (const Skipped& skipped : log.skipped) lines.push_back(skipped.line);
  EXPECT_THAT(lines, ElementsAre(2, 4, 5, 6, 7, 10));
  EXPECT_EQ(log.skipped_by_reason.at("invalid JSON"), 3U);
  const Log few = read_sources({{"a.jsonl", text}}, {.limits = {.skipped = 2}});
  EXPECT_EQ(few.skipped.size(), 2U);
  EXPECT_EQ(few.skipped_count(), 6U);
}

TEST(Lines, OneThatIsTooLongIsSkipped) {
  const std::string text =
      R"({"messages":[{"role":"user","content":")" + std::string(5000, 'x') + "\"}]}\n" + "{\"messages\":[]}\n";
  const Log log = read_sources({{"a.jsonl", text}}, {.limits = {.record_bytes = 1000}});
  EXPECT_EQ(log.calls.size(), 1U);
  ASSERT_EQ(log.skipped.size(), 1U);
  EXPECT_EQ(log.skipped[0].line, 1U);
}

TEST(Values, ListsPrettyObjectsAndTheirLines) {
  const std::string list = "[\n {\"messages\": [\n 1]},\n {\"x\": 1},\n {\"messages\": []}\n]\n";
  const Log log = read_sources({{"a.json", list}});
  ASSERT_EQ(log.calls.size(), 2U);
  EXPECT_EQ(log.calls[0].line, 2U);
  EXPECT_EQ(log.calls[1].line, 5U);
  ASSERT_EQ(log.skipped.size(), 1U);
  EXPECT_EQ(log.skipped[0].line, 4U);
  EXPECT_FALSE(log.files[0].by_line);
  // What `jq .` makes of a log.
  EXPECT_EQ(read_sources({{"a.json", "{\n \"messages\": []\n}\n{\n \"messages\": [2]\n}\n"}}).calls.size(), 2U);
  EXPECT_EQ(read_sources({{"a.json", "[{\"messages\":[]},{\"messages\":[2]"}}).skipped_count(), 1U);
}

TEST(Values, EndsAreFoundByBracketsAndQuotes) {
  EXPECT_EQ(value_end(R"({"a":"}\"]"} x)", 0, 100), 12U);
  EXPECT_EQ(value_end("[[1],2] ", 0, 100), 7U);
  EXPECT_EQ(value_end("\"a\\\\\" ", 0, 100), 5U);
  EXPECT_EQ(value_end("12,", 0, 100), 2U);
  EXPECT_EQ(value_end("{\"a\":1", 0, 100), std::string::npos);
  EXPECT_EQ(value_end("{\"a\":1}", 0, 4), std::string::npos);
}

TEST(CsvRows, QuotesLineBreaksAndWidths) {
  const std::string csv =
      "request_id,call_type,startTime,messages,spend\n"
      "a,completion,2026-03-02 09:00:00,\"[{\"\"role\"\":\"\"user\"\",\"\"content\"\":\"\"two\n"
      "lines, \"\"\"\"\"\"}]\",0.5\n"
      "b,completion,2026-03-02 09:00:01,\"[{\"\"role\"\":\"\"user\"\",\"\"content\"\":\"\"one "
      "\\\"\"x\\\"\"\"\"}]\",0\n"
      "c,completion\n"
      "d,completion,2026-03-02 09:00:02,\"open,0\n";
  const Log log = read_sources({{"a.csv", csv}});
  ASSERT_EQ(log.calls.size(), 2U);
  EXPECT_EQ(log.calls[0].line, 2U);
  EXPECT_THAT(std::string(log.calls[0].request), HasSubstr("two\\u000alines")) << "no JSON, so it is a prompt";
  EXPECT_THAT(std::string(log.calls[1].request), HasSubstr(R"("content":"one \"x\"")"));
  EXPECT_EQ(log.skipped_by_reason.at("CSV row of another width than its header"), 1U);
  EXPECT_EQ(log.skipped_by_reason.at("the file ends inside of a quoted cell"), 1U);
  EXPECT_EQ(log.skipped[0].line, 5U);
  EXPECT_THAT(read_sources({{"b.csv", "name,age\nx,1\ny,2\n"}}).skipped[0].why, HasSubstr("no known format"));
}

TEST(Duplicates, AFileGivenTwiceAndRowsGivenTwice) {
  const std::string rows = text_of("rows.jsonl");
  const Log twice = read_sources({{"a.jsonl", rows}, {"b.jsonl", rows}});
  EXPECT_EQ(twice.calls.size(), 3U);
  EXPECT_EQ(twice.duplicates.files, 1U);
  const Log other_order = read_sources({{"a.jsonl", rows}, {"b.jsonl", "\n" + rows}});
  EXPECT_EQ(other_order.calls.size(), 3U);
  EXPECT_EQ(other_order.duplicates.records, 3U);
  // Without times two equal requests are two.
  const std::string body = "{\"messages\":[]}\n";
  EXPECT_EQ(read_sources({{"a.jsonl", body + body}}).calls.size(), 2U);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

const std::vector<std::string> kLineFiles = {
    "rows.jsonl",     "claude_code/11111111.jsonl", "lite_llm.jsonl", "helicone.jsonl",
    "langfuse.jsonl", "batch_output.jsonl",         "otel.jsonl"};

TEST(Properties, TotalsDoNotDependOnTheOrderOfLines) {
  for (const std::string& name : kLineFiles) {
    const std::string expected = sums(read_sources({{name, text_of(name)}}));
    for (unsigned seed = 0; seed < 20; ++seed) {
      std::vector<std::string> lines = lines_of(text_of(name));
      std::shuffle(lines.begin(), lines.end(), std::mt19937(seed));
      std::string text;
      for (const std::string& line : lines) text += line + "\n";
      EXPECT_EQ(sums(read_sources({{name, text}})), expected) << name << " seed " << seed;
    }
  }
}

TEST(Properties, TotalsDoNotDependOnTheSplitIntoFiles) {
  for (const std::string& name : kLineFiles) {
    const std::vector<std::string> lines = lines_of(text_of(name));
    const std::string text = text_of(name);
    const Log whole = read_sources({{name, text}});
    const std::string expected = sums(whole);
    for (size_t cut = 1; cut < lines.size(); ++cut) {
      std::string head, tail;
      for (size_t i = 0; i < lines.size(); ++i) (i < cut ? head : tail) += lines[i] + "\n";
      const Log log = read_sources({{"a.jsonl", head}, {"b.jsonl", tail}}, {.format = whole.files[0].format});
      EXPECT_EQ(sums(log), expected) << name << " cut at " << cut;
    }
  }
}

}  // namespace
}  // namespace payonce::history
