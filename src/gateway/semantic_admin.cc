#include "gateway/semantic_admin.h"

#include <boost/json.hpp>
#include <utility>

namespace payonce::gateway {
namespace json = boost::json;

json::object wrong_answers(pipeline::SemanticStage& stage) {
  const semantic::Tally tally = stage.cache().stats().tally;
  const semantic::Tally::WrongRate wrong = tally.wrong_rate();
  return {{"bound", stage.cache().error_bound()},
          {"estimate", wrong.estimate},
          {"low", wrong.low},
          {"high", wrong.high},
          {"confidence", 0.95},
          {"asked_again", tally.asked_again},
          {"asked_again_wrong", tally.asked_again_wrong},
          {"by_feedback", stage.stats().wrong_by_feedback}};
}

void add_semantic(pipeline::SemanticStage& stage, json::object& stats) {
  const pipeline::SemanticStage::Stats counts = stage.stats();
  const semantic::SemanticCache::Stats cache = stage.cache().stats();
  json::object section{{"hits", counts.hits},
                       {"misses", counts.misses},
                       {"entries", cache.entries},
                       {"bytes", cache.bytes},
                       {"groups", cache.groups},
                       {"evictions", cache.evictions},
                       {"reasons", json::object{{"empty", counts.empty},
                                                {"far", counts.far},
                                                {"conflict", counts.conflict},
                                                {"uncertain", counts.uncertain},
                                                {"gone", counts.gone},
                                                {"fault", counts.fault},
                                                {"sampled", counts.sampled}}},
                       {"wrong_answers", wrong_answers(stage)},
                       {"labels", cache.labels},
                       {"threshold", cache.threshold},
                       {"sampling", counts.sampling},
                       {"saved", json::object{{"input_tokens", counts.saved_input_tokens},
                                              {"output_tokens", counts.saved_output_tokens},
                                              {"usd", counts.saved_usd}}}};
  stats["layers"].as_object()["semantic"] = std::move(section);
  json::object& saved = stats["saved"].as_object();
  saved["input_tokens"] = saved["input_tokens"].to_number<uint64_t>() + counts.saved_input_tokens;
  saved["output_tokens"] = saved["output_tokens"].to_number<uint64_t>() + counts.saved_output_tokens;
  saved["usd"] = saved["usd"].to_number<double>() + counts.saved_usd;
}

}  // namespace payonce::gateway
