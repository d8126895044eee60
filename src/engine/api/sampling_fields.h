// The fields that say how tokens are chosen and where an answer stops, which all dialects spell alike or nearly so.
// Threads: pure functions. What is wrong is kept in `fields`.
#pragma once

#include <string>

#include "engine/api/json_fields.h"
#include "engine/api/requests.h"
#include "engine/request.h"

namespace payonce::engine {

// temperature, top_p, top_k, min_p, the penalties, logit_bias, seed, min_tokens, ignore_eos, stop_token_ids.
void read_sampling(Fields& fields, const RequestContext& context, Generate& out);
// A string or a list of strings under `name`.
void read_stops(Fields& fields, std::string_view name, const RequestContext& context, Stopping& out);
// n, best_of, use_beam_search, beam_width, length_penalty, early_stopping. `stream`: what cannot be streamed is
// refused.
void read_choices(Fields& fields, const RequestContext& context, bool stream, Generate& out);
// "stream", and "stream_options"."include_usage", which needs it.
struct Framing {
  bool stream = false;
  bool include_usage = false;
};
Framing read_framing(Fields& fields);

// guided_json, guided_grammar, grammar. At most one of both; empty: none.
struct Guide {
  std::string json_schema;
  std::string gbnf;
};
Guide read_guide(Fields& fields);

// Refuses what does not fit; an answer without a limit may take what the prompt leaves. `what`: "messages", "prompt".
base::Status check_context(const RequestContext& context, llm::Dialect dialect, const Generate& request);

}  // namespace payonce::engine
