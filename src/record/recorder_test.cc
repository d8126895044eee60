#include "record/recorder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <zstd.h>

#include <boost/json.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "base/temporary_directory.h"
#include "record/row_file.h"

namespace payonce::record {
namespace {

namespace json = boost::json;

Exchange exchange(std::string_view request, int number = 0) {
  return {.unix_ms = 1'790'000'000'123 + number,
          .latency_ms = 40,
          .first_byte_ms = 7,
          .path = "/v1/chat/completions",
          .user = "u-1",
          .request = base::Bytes::copy(request),
          .cache = "miss"};
}
json::object row(const Exchange& from, std::optional<base::Bytes> response = {}) {
  return json::parse(row_of(from, std::move(response))).as_object();
}

TEST(Row, ItIsOneLineOfTheLogsFormat) {
  Exchange from = exchange("{\n  \"model\": \"m\",\r\n \"messages\": [\"line\\n\"]}");
  from.session = "s\"1";
  from.status = 499;
  const std::string text = row_of(from, base::Bytes::copy("{\"id\":\n1}"));
  EXPECT_EQ(text.find('\n'), std::string::npos);
  EXPECT_NE(text.find(R"("request":{   "model": "m",   "messages": ["line\n"]})"), std::string::npos) << text;
  const json::object got = json::parse(text).as_object();
  EXPECT_EQ(got.at("timestamp"), "2026-09-21T14:13:20.123Z");
  EXPECT_EQ(got.at("latency_ms"), 40);
  EXPECT_EQ(got.at("first_byte_ms"), 7);
  EXPECT_EQ(got.at("path"), "/v1/chat/completions");
  EXPECT_EQ(got.at("session"), "s\"1");
  EXPECT_EQ(got.at("user"), "u-1");
  EXPECT_EQ(got.at("status"), 499);
  EXPECT_EQ(got.at("cache"), "miss");
  EXPECT_EQ(got.at("response").at("id"), 1);
}

TEST(Row, AStreamIsAStringAndWhatIsNoTextIsLeftOut) {
  EXPECT_EQ(row(exchange("{}"), base::Bytes::copy("data: {}\n\n")).at("response"), "data: {}\n\n");
  EXPECT_TRUE(row(exchange("{}"), base::Bytes::copy("\xff\xfe")).at("response").is_null());
  EXPECT_TRUE(row(exchange("{}")).at("response").is_null());
  EXPECT_TRUE(row(exchange("{}")).at("session").is_null());
}

TEST(Row, CredentialsOfToolsAreOverwrittenInTheirLength) {
  const std::string request =
      R"({"tools":[{"type":"mcp","authorization":"sk-secret","headers":{"X-Key":"sk-secret","n":1},)"
      R"("parameters":{"enum":["authorization","kept"]}}],"mcp_servers":[{"authorization_token":"sk-secret"}],)"
      R"("messages":[{"role":"user","content":"authorization","headers":{"a":"kept"}}]})";
  const std::string text = row_of(exchange(request), {});
  EXPECT_EQ(text.find("secret"), std::string::npos) << text;
  const json::object got = json::parse(text).at("request").as_object();
  EXPECT_EQ(got.at("tools").at(0).at("authorization"), "xxxxxxxxx");
  EXPECT_EQ(got.at("tools").at(0).at("parameters").at("enum").at(1), "kept");
  EXPECT_EQ(got.at("messages").at(0).at("headers").at("a"), "kept");
  EXPECT_NE(text.find(R"("messages":[{"role":"user")"), std::string::npos);
}

struct RecorderTest : testing::Test {
  std::string read(const std::string& name) { return base::read_file(env, name).value(); }
  std::string unpacked(const std::string& name) {
    const std::string packed = read(name);
    std::string out;
    for (size_t at = 0; at < packed.size();) {
      const size_t frame = ZSTD_findFrameCompressedSize(packed.data() + at, packed.size() - at);
      if (ZSTD_isError(frame)) break;
      std::string part(1 << 20, '\0');
      part.resize(ZSTD_decompress(part.data(), part.size(), packed.data() + at, frame));
      out += part;
      at += frame;
    }
    return out;
  }
  static size_t lines(const std::string& text) {
    EXPECT_TRUE(text.empty() || text.ends_with('\n'));
    return static_cast<size_t>(std::ranges::count(text, '\n'));
  }
  double rows(const char* outcome) {
    return metrics.counter("payonce_record_rows_total", {{"outcome", outcome}}).value();
  }

  base::PosixEnv env;
  base::SystemClock clock;
  base::Metrics metrics;
  base::TemporaryDirectory directory;
  const std::string file = directory.path() + "/calls.jsonl";
  const std::string packed_file = directory.path() + "/calls.jsonl.zst";
};

TEST_F(RecorderTest, RowsAreAppendedInOrderForTheOwnerAlone) {
  for (int run = 0; run < 2; ++run) {
    Recorder recorder(env, clock, metrics);
    EXPECT_FALSE(recorder.on());
    recorder.configure({.file = file});
    EXPECT_TRUE(recorder.on());
    for (int i = 0; i < 50; ++i) recorder.add(exchange("{\"model\":\"m\"}", 50 * run + i));
  }
  const std::string text = read(file);
  EXPECT_EQ(lines(text), 100u);
  EXPECT_LT(text.find("20.123Z"), text.find("20.222Z"));
  EXPECT_EQ(rows("written"), 100);
  struct stat info{};
  ASSERT_EQ(stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(RecorderTest, PackedRowsAreGatheredAndComeBack) {
  {
    Recorder recorder(env, clock, metrics);
    recorder.configure({.file = packed_file});
    for (int i = 0; i < 100; ++i) recorder.add(exchange("{\"model\":\"m\"}", i));
    recorder.flush();
    EXPECT_EQ(lines(unpacked(packed_file)), 100u);
    recorder.add(exchange("{\"model\":\"m\"}", 100));
  }
  EXPECT_EQ(lines(unpacked(packed_file)), 101u);
  EXPECT_LT(read(packed_file).size(), unpacked(packed_file).size() / 4);
}

TEST_F(RecorderTest, TheTornEndOfACrashIsCutOff) {
  for (const std::string& name : {file, packed_file}) {
    {
      Recorder recorder(env, clock, metrics);
      recorder.configure({.file = name});
      for (int i = 0; i < 2; ++i) {
        recorder.add(exchange("{\"model\":\"m\"}", i));
        recorder.flush();
      }
    }
    std::filesystem::resize_file(name, std::filesystem::file_size(name) - 5);
    {
      Recorder recorder(env, clock, metrics);
      recorder.configure({.file = name});
      recorder.add(exchange("{\"model\":\"m\"}", 7));
    }
    const std::string text = name == file ? read(name) : unpacked(name);
    EXPECT_EQ(lines(text), 2u) << name;
    EXPECT_NE(text.find("20.130Z"), std::string::npos);
  }
}

TEST_F(RecorderTest, TheFilesStayWithinTheirSize) {
  constexpr uint64_t kMax = 40'000;
  Recorder recorder(env, clock, metrics);
  recorder.configure({.file = file, .max_bytes = kMax});
  for (int i = 0; i < 500; ++i) {
    recorder.add(exchange("{\"model\":\"" + std::string(300, 'm') + "\"}", i));
    if (i % 10 == 0) recorder.flush();
  }
  recorder.flush();
  EXPECT_LE(std::filesystem::file_size(file) + std::filesystem::file_size(file + ".1"), kMax);
  EXPECT_GT(std::filesystem::file_size(file + ".1"), kMax / 4);
  lines(read(file));
  lines(read(file + ".1"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory.path()), {}), 2);
}

TEST_F(RecorderTest, AReloadChangesTheFileAndOpensAMovedOneAnew) {
  Recorder recorder(env, clock, metrics);
  recorder.configure({.file = file});
  recorder.add(exchange("{\"model\":\"a\"}"));
  recorder.flush();
  std::filesystem::rename(file, file + ".moved");
  recorder.configure({.file = file});
  recorder.add(exchange("{\"model\":\"b\"}"));
  recorder.configure({.file = file + "2"});
  recorder.add(exchange("{\"model\":\"c\"}"));
  recorder.configure({});
  EXPECT_FALSE(recorder.on());
  recorder.add(exchange("{\"model\":\"d\"}"));
  recorder.flush();
  EXPECT_NE(read(file + ".moved").find("\"a\""), std::string::npos);
  EXPECT_NE(read(file).find("\"b\""), std::string::npos);
  EXPECT_EQ(lines(read(file + "2")), 1u);
}

TEST_F(RecorderTest, AFileThatCannotBeWrittenLosesRowsAndNothingElse) {
  Recorder recorder(env, clock, metrics);
  recorder.configure({.file = directory.path() + "/no/such/folder.jsonl"});
  recorder.add(exchange("{}"));
  recorder.flush();
  EXPECT_EQ(rows("failed"), 1);
  EXPECT_EQ(rows("written"), 0);
}

TEST_F(RecorderTest, AFullQueueDropsAndCounts) {
  Recorder recorder(env, clock, metrics);
  std::mutex closed;
  std::unique_lock gate(closed);
  recorder.configure({.file = file});
  Exchange slow = exchange("{}");
  slow.response = [&]() -> std::optional<base::Bytes> {
    const std::lock_guard wait(closed);
    return {};
  };
  recorder.add(slow);
  Exchange large = exchange("{}");
  large.response_bytes = Recorder::kMaxQueued_bytes / 2;
  for (int i = 0; i < 10; ++i) recorder.add(large);
  EXPECT_GE(rows("dropped"), 8);
  gate.unlock();
  recorder.flush();
  EXPECT_EQ(rows("dropped") + rows("written"), 11);
}

}  // namespace
}  // namespace payonce::record
