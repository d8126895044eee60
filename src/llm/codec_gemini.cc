#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cstdint>
#include <map>
#include <string>

#include "llm/codec.h"
#include "llm/sse.h"
#include "llm/usage.h"

namespace payonce::llm::codec {
namespace json = boost::json;
namespace {

// The ends of an answer that may be given again. All others (SAFETY, RECITATION, MALFORMED_FUNCTION_CALL, …) say that
// the provider withheld or spoilt it; asking again may give one (ai.google.dev, FinishReason, 2026-11).
constexpr std::array<std::string_view, 2> kWholeEnds = {"STOP", "MAX_TOKENS"};

// What is known of an answer, document by document.
struct Read {
  Analysis analysis;
  std::map<int64_t, std::string> ends;  // of each candidate seen; empty: none yet
  std::string problem;

  void add(const json::object& document);
  Analysis conclude();
};

void Read::add(const json::object& document) {
  if (document.contains("error")) problem = "error object";
  if (const std::string_view model = text_of(document, "modelVersion"); !model.empty()) analysis.model = model;
  if (const json::object* usage = object_of(document, "usageMetadata")) analysis.usage = gemini_usage(*usage);
  const json::array* candidates = array_of(document, "candidates");
  for (size_t i = 0; candidates != nullptr && i < candidates->size(); ++i) {
    const json::object& candidate = candidates->at(i).as_object();
    const json::value* index = candidate.if_contains("index");
    std::string& end = ends[index == nullptr ? 0 : index->to_number<int64_t>()];
    if (const std::string_view said = text_of(candidate, "finishReason"); !said.empty()) end = said;
  }
}

Analysis Read::conclude() {
  if (problem.empty() && ends.empty()) problem = "no candidates";
  for (const auto& [index, end] : ends) {
    if (!end.empty()) analysis.finish_reason = end;
    if (!problem.empty()) continue;
    if (end.empty())
      problem = "no finishReason";
    else if (std::find(kWholeEnds.begin(), kWholeEnds.end(), end) == kWholeEnds.end())
      problem = end;
  }
  analysis.complete = problem.empty();
  analysis.reason = std::move(problem);
  return std::move(analysis);
}

}  // namespace

Analysis Gemini::analyse_json(const json::object& body) {
  Read read;
  read.add(body);
  return read.conclude();
}

Analysis Gemini::analyse_stream(std::string_view stream) {
  Read read;
  SseEvent event;
  while (next_event(stream, event)) {
    if (!event.has_data) continue;
    const auto document = parse_object(event.data);
    if (!document) return {.complete = false, .reason = document.error().message};
    read.add(*document);
  }
  if (stream.find_first_not_of("\r\n") != std::string_view::npos) read.problem = "ends inside an event";
  return read.conclude();
}

}  // namespace payonce::llm::codec
