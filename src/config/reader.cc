#include "config/reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/assert.h"
#include "config/units.h"

namespace payonce::config {
namespace {

// Damerau–Levenshtein distance (optimal string alignment): inserted, left out, changed or swapped letters.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

std::optional<std::string> scalar_text(const toml::node& node, Kind kind) {
  const bool numeric = kind == Kind::kWhole || kind == Kind::kNumber || kind == Kind::kSize ||
                       kind == Kind::kDuration || kind == Kind::kList;
  if (const auto* value = node.as_integer(); value != nullptr && numeric) return fmt::format("{}", value->get());
  if (const auto* value = node.as_floating_point(); value != nullptr && kind == Kind::kNumber)
    return fmt::format("{}", value->get());
  if (const auto* value = node.as_boolean(); value != nullptr && kind == Kind::kBool)
    return std::string(value->get() ? "true" : "false");
  const bool textual = kind != Kind::kWhole && kind != Kind::kNumber && kind != Kind::kBool;
  if (const auto* value = node.as_string(); value != nullptr && textual) return value->get();
  return std::nullopt;
}

}  // namespace

base::Status Problems::status() const {
  if (lines_.empty()) return {};
  return base::fail(base::Code::kInvalid, fmt::format("{}", fmt::join(lines_, "\n")));
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
  constexpr size_t kMaxBytes = 64;  // longer words are not compared: the table of distances is their product
  if (word.size() > kMaxBytes) return {};
  std::string_view best;
  size_t least = std::max<size_t>(1, word.size() / 3) + 1;
  for (const std::string_view candidate : candidates) {
    const size_t d = distance(word, candidate);
    if (d >= least) continue;
    least = d;
    best = candidate;
  }
  return best;
}

std::string place(const toml::node& node, const std::string& file) {
  return fmt::format("{}:{}", file, node.source().begin.line);
}

std::string unknown_key(std::string_view path, std::string_view name, const std::string& where,
                        std::span<const std::string_view> known) {
  const std::string full = path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
  const std::string_view meant = nearest(name, known);
  if (!meant.empty()) return fmt::format("unknown key '{}' at {}; did you mean '{}'?", full, where, meant);
  return fmt::format("unknown key '{}' at {}; known here: {}", full, where, fmt::join(known, ", "));
}

std::optional<std::string> text_of(const toml::node& node, Kind kind) {
  const toml::array* array = node.as_array();
  if (array == nullptr || kind != Kind::kList) return scalar_text(node, kind);
  std::string out;
  for (const toml::node& element : *array) {
    const auto one = scalar_text(element, kind);
    if (!one) return std::nullopt;
    out.append(out.empty() ? "" : ",").append(*one);
  }
  return out;
}

std::string_view type_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table: return "a table";
    case toml::node_type::array: return "an array";
    case toml::node_type::string: return "a text";
    case toml::node_type::integer: return "a whole number";
    case toml::node_type::floating_point: return "a number with a fraction";
    case toml::node_type::boolean: return "true or false without quotes";
    default: return "a date or time";
  }
}

TableReader::TableReader(const toml::table& table, std::string path, const std::string& file,
                         std::span<const Key> keys, Problems& problems)
    : table_(table), path_(std::move(path)), file_(file), keys_(keys), problems_(problems) {
  std::vector<std::string_view> names;
  for (const Key& key : keys_) names.push_back(key.name);
  for (const auto& [name, node] : table_)
    if (std::ranges::find(names, name.str()) == names.end())
      problems_.add(unknown_key(path_, name.str(), place(node, file_), names));
}

const toml::node* TableReader::find(std::string_view key) const {
  // A key that is read must be one of the documented ones.
  PAYONCE_ASSERT(std::ranges::find(keys_, key, &Key::name) != keys_.end());
  return table_.get(key);
}

void TableReader::wrong(std::string_view key, std::string_view why) const {
  const toml::node* node = table_.get(key);
  problems_.add(
      fmt::format("invalid '{}.{}' at {}: {}", path_, key, place(node == nullptr ? table_ : *node, file_), why));
}

void TableReader::missing(std::string_view key, std::string_view example) const {
  problems_.add(fmt::format("missing '{}.{}' in the table at {}; for example {} = {}", path_, key,
                            place(table_, file_), key, example));
}

std::optional<std::string> TableReader::text(std::string_view key) const {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  if (const auto value = node->value_exact<std::string>(); value && !value->empty()) return value;
  wrong(key, fmt::format("expected a text in quotes, found {}", node->is_string() ? "an empty one" : type_of(*node)));
  return std::nullopt;
}

std::optional<double> TableReader::number(std::string_view key) const {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  // Written so that nan is refused as well.
  if (const auto value = node->is_number() ? node->value<double>() : std::nullopt;
      value && *value >= 0 && *value <= 1e12)
    return value;
  wrong(key, fmt::format("expected a number from 0, found {}", node->is_number() ? "another one" : type_of(*node)));
  return std::nullopt;
}

std::optional<bool> TableReader::boolean(std::string_view key) const {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  if (const auto value = node->value_exact<bool>()) return value;
  wrong(key, fmt::format("expected true or false without quotes, found {}", type_of(*node)));
  return std::nullopt;
}

std::optional<int64_t> TableReader::duration_ms(std::string_view key, bool may_be_zero) const {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  const auto value = text_of(*node, Kind::kDuration);
  const auto parsed = value
                          ? parse_duration_ms(*value)
                          : base::fail(base::Code::kInvalid,
                                       fmt::format("expected a duration such as \"15m\", found {}", type_of(*node)));
  if (parsed && (*parsed > 0 || may_be_zero)) return *parsed;
  wrong(key, parsed ? "expected a duration above 0, found 0" : parsed.error().message);
  return std::nullopt;
}

std::optional<std::vector<std::string>> TableReader::texts(std::string_view key) const {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  std::vector<std::string> out;
  if (const toml::array* array = node->as_array())
    for (const toml::node& element : *array)
      if (const auto one = element.value_exact<std::string>(); one && !one->empty()) out.push_back(*one);
  if (node->is_array() && out.size() == node->as_array()->size()) return out;
  wrong(key, fmt::format("expected a list of texts such as [\"one\", \"two\"], found {}",
                         node->is_array() ? "something else in it" : type_of(*node)));
  return std::nullopt;
}

std::vector<NamedTable> named_tables(const toml::table& root, std::string_view section, const std::string& file,
                                     Problems& problems, bool beside_options) {
  const toml::node* found = root.get(section);
  if (found == nullptr) return {};
  const auto refuse = [&](const toml::node& node) {
    problems.add(fmt::format("invalid '{}' at {}: expected tables [{}.NAME], found {}", section, place(node, file),
                             section, node.is_array() ? "an array" : type_of(node)));
  };
  if (!found->is_table()) {
    refuse(*found);
    return {};
  }
  std::vector<NamedTable> out;
  for (const auto& [name, node] : *found->as_table()) {
    if (node.is_table())
      out.push_back({std::string(name.str()), node.as_table()});
    else if (!beside_options)
      refuse(node);
  }
  const auto begin = [](const NamedTable& one) {
    const toml::source_position at = one.table->source().begin;
    return std::pair(at.line, at.column);
  };
  std::ranges::stable_sort(out, {}, begin);
  return out;
}

}  // namespace payonce::config
