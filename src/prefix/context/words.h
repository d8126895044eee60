// The few words that this module adds to a request.  Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace payonce::prefix {

// "Most relevant first: [3], [1], [2]." `names` stand in the client's order; `place` says where each stands now, from
// 0. By the documents' own names, or, where they have none or share one, by their places.
std::string ranking(const std::vector<std::string>& names, const std::vector<uint32_t>& place);

// In place of a document that stands further up: its tags or label and first words, "(in full above)".
std::string reference_to(std::string_view document);
// The same for a part that is not text.
std::string reference_to_title(std::string_view title);

}  // namespace payonce::prefix
