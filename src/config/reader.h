// Reads TOML tables and says where it found what it did not expect: file, line, key, and the key that was meant.
// Threads: one.  Lifetime: table, file name and Problems outlive the readers.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// With exceptions, toml++ throws parse_error; it is caught where it is called.
#include <toml++/toml.h>

#include "base/result.h"
#include "config/options.h"

namespace payonce::config {

// What is wrong, one line each, so that the operator can mend all of it at once.
class Problems {
 public:
  void add(std::string line) { lines_.push_back(std::move(line)); }
  base::Status status() const;  // kInvalid with the lines, or nothing wrong

 private:
  std::vector<std::string> lines_;
};

// The candidate that `word` was probably meant to be; empty: none is near.
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

std::string place(const toml::node& node, const std::string& file);  // "payonce.toml:7"
// "unknown key 'policy.sampeld' at payonce.toml:7; did you mean 'sampled'?"
std::string unknown_key(std::string_view path, std::string_view name, const std::string& where,
                        std::span<const std::string_view> known);
// A scalar, or an array of scalars joined by commas, as the text that a Field takes; nullopt: not of that kind.
std::optional<std::string> text_of(const toml::node& node, Kind kind);
std::string_view type_of(const toml::node& node);  // "a table", "a text": as found

// A key of a table that has many instances, such as [upstreams.NAME].
struct Key {
  std::string_view name, kind, standard,
      help;  // name, and for the documentation: what it takes, its default, what it does
};

// One such table. Each getter gives nothing when the key is missing or wrong; wrong is added to the problems.
class TableReader {
 public:
  // Unknown keys are problems at once. path: "upstreams.openai".
  TableReader(const toml::table& table, std::string path, const std::string& file, std::span<const Key> keys,
              Problems& problems);

  std::optional<std::string> text(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;  // from 0
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<int64_t> duration_ms(std::string_view key, bool may_be_zero = false) const;
  std::optional<std::vector<std::string>> texts(std::string_view key) const;
  bool has(std::string_view key) const { return find(key) != nullptr; }
  // Adds "invalid 'upstreams.openai.base_url' at payonce.toml:7: WHY".
  void wrong(std::string_view key, std::string_view why) const;
  void missing(std::string_view key, std::string_view example) const;
  const std::string& path() const { return path_; }

 private:
  const toml::node* find(std::string_view key) const;

  const toml::table& table_;
  const std::string path_;
  const std::string& file_;
  const std::span<const Key> keys_;
  Problems& problems_;
};

// The tables [NAME.*] in the order of the file (toml++ sorts them by name). What is no table is a problem, or, with
// `beside_options`, an option of the table of options.
struct NamedTable {
  std::string name;
  const toml::table* table;
};
std::vector<NamedTable> named_tables(const toml::table& root, std::string_view section, const std::string& file,
                                     Problems& problems, bool beside_options = false);

}  // namespace payonce::config
