#include <algorithm>
#include <filesystem>
#include <map>
#include <unordered_map>

#include "history/open_file.h"
#include "history/paths.h"
#include "history/reader.h"

namespace payonce::history {
namespace {

class Reading {
 public:
  Reading(Log& log, const Options& options) : log_(log), options_(options), sink_(log, options) {}

  void expect(const Source& source) {
    std::error_code error;
    const uint64_t size = source.text ? source.text->size() : std::filesystem::file_size(source.name, error);
    if (!error) total_ += size;
  }

  void source(const Source& source) {
    Opened opened;
    if (source.text) {
      opened = {.text = *source.text, .disk_bytes = source.text->size()};
    } else {
      auto file = open_file(log_, source.name, options_.limits);
      if (!file) return fail(source.name, std::move(file.error().message));
      opened = std::move(*file);
    }
    log_.bytes_read += opened.disk_bytes;
    text(source.name, opened);
    if (!opened.damage.empty()) sink_.skip(0, opened.damage);
    done_ += opened.disk_bytes;
    tell(0);
  }

  void fail(const std::string& name, std::string why) {
    log_.unreadable = true;
    log_.files.push_back({.name = name});
    sink_.skip(0, std::move(why));
  }

  void finish() {
    for (auto& [format, reader] : readers_) reader->finish();
    if (!options_.by_time) return;
    std::stable_sort(log_.calls.begin(), log_.calls.end(),
                     [](const Call& a, const Call& b) { return a.at_ms < b.at_ms; });
  }

 private:
  void text(const std::string& name, const Opened& opened) {
    std::string_view text = opened.text;
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    log_.files.push_back({.name = name, .bytes = text.size(), .text = text});
    if (repeats(text)) return;
    const Layout layout = layout_of(text, options_.limits.record_bytes);
    File& file = log_.files.back();
    file.format = options_.format ? *options_.format : detect(text, layout, options_.limits);
    file.by_line = layout == Layout::kLines;
    if (layout == Layout::kCsv && file.format == Format::kRows && !options_.format)
      return sink_.skip(1, "a CSV whose columns are those of no known format");
    Reader& reader = reader_of(file.format);
    reader.begin();
    Visitor visitor;
    visitor.record = [&](const Json& value, uint64_t line) { return record(reader, value, line); };
    visitor.bad = [&](uint64_t line, std::string why) { sink_.skip(line, std::move(why)); };
    visitor.at = [&](size_t at) {
      if (opened.mapped) log_.mappings.back().release(at);
      const double share = static_cast<double>(at) / static_cast<double>(text.size());
      tell(static_cast<uint64_t>(share * static_cast<double>(opened.disk_bytes)));
    };
    each_record(text, layout, options_.limits.record_bytes, log_.arena, visitor);
    reader.end();
    if (opened.mapped) log_.mappings.back().release(opened.text.size());
  }

  bool record(Reader& reader, const Json& value, uint64_t line) {
    if (const Json list = list_in(value))
      list.each([&](const Json& one) { reader.record(one, line); });
    else if (value.is_object())
      reader.record(value, line);
    else
      sink_.skip(line, "expected a JSON object");
    return true;
  }

  // A file of the bytes of an earlier one is not read again. One with a single request is: it may be a real repeat.
  bool repeats(std::string_view text) {
    std::vector<size_t>& same_size = by_size_[text.size()];
    for (const size_t other : same_size)
      if (log_.files[other].calls > 1 && log_.files[other].text == text) {
        log_.files.back().format = log_.files[other].format;
        ++log_.duplicates.files;
        return true;
      }
    same_size.push_back(log_.files.size() - 1);
    return false;
  }

  Reader& reader_of(Format format) {
    std::unique_ptr<Reader>& reader = readers_[format];
    if (reader == nullptr)
      for (const FormatEntry& entry : formats())
        if (entry.format == format) reader = entry.make(sink_);
    return *reader;
  }

  void tell(uint64_t within) {
    if (options_.progress) options_.progress(done_ + within, std::max(total_, done_ + within));
  }

  Log& log_;
  const Options& options_;
  Sink sink_;
  std::map<Format, std::unique_ptr<Reader>> readers_;
  std::unordered_map<size_t, std::vector<size_t>> by_size_;
  uint64_t done_ = 0;
  uint64_t total_ = 0;
};

}  // namespace

uint64_t Log::skipped_count() const {
  uint64_t out = 0;
  for (const auto& [reason, count] : skipped_by_reason) out += count;
  return out;
}

Log read_sources(const std::vector<Source>& sources, const Options& options) {
  Log log;
  Reading reading(log, options);
  for (const Source& source : sources) reading.expect(source);
  for (const Source& source : sources) reading.source(source);
  reading.finish();
  return log;
}

Log read(const std::vector<std::string>& paths, const Options& options) {
  Log log;
  Reading reading(log, options);
  const FoundFiles found = find_files(paths, options.limits.files, has_log_ending);
  for (const auto& [path, why] : found.failed) reading.fail(path, why);
  for (const std::string& name : found.names) reading.expect({.name = name});
  for (const std::string& name : found.names) reading.source({.name = name});
  reading.finish();
  return log;
}

}  // namespace payonce::history
