// Reads the fields of a JSON object and keeps the first thing that is wrong with one of them, so that a reader can
// ask for all its fields in a row and check once. `null` counts as absent; fields that nobody asks for are ignored.
// Threads: a value; it borrows the object.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace payonce::engine {

class Fields {
 public:
  // `path`: how the object is called in messages ("messages[2]"), empty for the body itself.
  explicit Fields(const boost::json::object& object, std::string path = "")
      : object_(object), path_(std::move(path)) {}

  // Inclusive bounds.
  std::optional<double> number(std::string_view name, double low, double high);
  std::optional<int64_t> integer(std::string_view name, int64_t low, int64_t high);
  std::optional<bool> boolean(std::string_view name);
  std::optional<std::string> text(std::string_view name);
  const boost::json::object* object(std::string_view name);
  const boost::json::array* array(std::string_view name);
  const boost::json::value* any(std::string_view name) const;  // null when absent
  bool has(std::string_view name) const { return any(name) != nullptr; }

  // "'path.name' what"; only the first one counts.
  void refuse(std::string_view name, std::string_view what);
  void refuse(base::Error error);
  std::string path(std::string_view name) const;
  base::Status status() const { return problem_ ? base::Status(base::fail(*problem_)) : base::Status(); }
  bool ok() const { return !problem_; }

 private:
  void expected(std::string_view name, std::string_view what, const boost::json::value& found);

  const boost::json::object& object_;
  std::string path_;
  std::optional<base::Error> problem_;
};

// "a string", "an array", "true", "12": what a message says was found.
std::string describe(const boost::json::value& value);

// The text of a number field as an integer, whatever way it was spelled (7, 7.0); none when it is not one.
std::optional<int64_t> whole_number(const boost::json::value& value);

}  // namespace payonce::engine
