// Reads a JSON body strictly: a field that is not known, or of another type, is an error that names it; null is as if
// it were not there. The first
// error is kept; what is read after it does not matter.  Threads: one.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "llm/json_view.h"

namespace payonce::agent {

class Body {
 public:
  // The object at `node`; `where`: its place, for messages ("deps[0]"), or "".
  Body(const llm::JsonView& view, uint32_t node, std::string where, std::initializer_list<std::string_view> known);

  bool has(std::string_view name) const { return member(name) != llm::JsonView::kNone; }
  uint32_t member(std::string_view name) const { return view_.member(node_, name); }
  std::string text(std::string_view name);           // "" when it is not there
  std::string required_text(std::string_view name);  // an error when it is not there, or empty
  bool boolean(std::string_view name, bool otherwise);
  std::optional<double> number(std::string_view name, double least, double most);
  uint32_t array(std::string_view name);   // kNone when it is not there
  uint32_t object(std::string_view name);  // the same
  void fail(std::string_view name, std::string_view what);
  void keep(base::Error error);
  const base::Status& status() const { return status_; }

 private:
  std::string place(std::string_view name) const;
  uint32_t of_type(std::string_view name, llm::JsonType type, std::string_view expected);

  const llm::JsonView& view_;
  const uint32_t node_;
  const std::string where_;
  base::Status status_;
};

}  // namespace payonce::agent
