// Documents in a text that was written for a model: tagged ("<document …>…</document>"), labelled ("[1] …", "Document
// 2: …") or set apart by lines of dashes below a heading ("Context:") and before a question. What is not surely a
// list of documents is none.  Threads: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace payonce::prefix {

struct Document {
  uint32_t begin = 0, size = 0;  // bytes of the text: tags and label are in it
  std::string name;              // by which the text itself calls it: "[3]", "document 7"; empty: by none
  bool operator==(const Document&) const = default;
};

// text = head, run, tail. The run holds the documents, what stands between them, and what belongs to all of them: a
// heading, an enclosing tag.
struct DocumentRun {
  uint32_t begin = 0, end = 0;
  std::vector<Document> documents;  // in their order, at least one
  bool may_change_order = false;    // at least two, and the same bytes between all of them
};

// Nothing where there is no document, or where it is not sure where one begins or ends.
std::optional<DocumentRun> documents_of(std::string_view text);

}  // namespace payonce::prefix
