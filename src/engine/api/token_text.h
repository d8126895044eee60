// Tokens as text for people and JSON: a token may hold part of a character, or bytes that are no character at all.
// Threads: pure functions.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "engine/api/ports.h"
#include "engine/request.h"

namespace payonce::engine {

// The elements of chat's logprobs.content, one a token of the piece: {token, logprob, bytes, top_logprobs}.
boost::json::array chat_logprobs(const VocabPort& vocab, const Piece& piece);
// The log probability as JSON can hold it.
double finite(float logprob);

}  // namespace payonce::engine
