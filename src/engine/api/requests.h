// One reader a dialect: a request body becomes what the engine is asked for, and the writer of its answer.
// Threads: pure functions, called on the worker pool.  Errors: as errors.h has them.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/api/answer_writer.h"
#include "engine/api/api.h"
#include "engine/api/ports.h"
#include "engine/model/chat_template.h"
#include "engine/request.h"

namespace payonce::engine {

// What a request is read against.
struct RequestContext {
  const VocabPort& vocab;
  const ChatTemplate& chat;
  const ApiLimits& limits;
  int32_t context_tokens = 0;
  AnswerIdentity identity;  // without id: each dialect has its own kind
};

// The generates come in the order of their prompts; all have the same n. Tenant and deadline are the caller's to set.
struct Prepared {
  std::vector<Generate> generates;
  std::unique_ptr<AnswerWriter> writer;
};

base::Result<Prepared> read_chat(const RequestContext& context, const boost::json::object& body);
base::Result<Prepared> read_completions(const RequestContext& context, const boost::json::object& body);
base::Result<Prepared> read_messages(const RequestContext& context, const boost::json::object& body);
base::Result<Prepared> read_responses(const RequestContext& context, const boost::json::object& body);
// /v1/messages/count_tokens: the answer's body.
base::Result<std::string> count_tokens(const RequestContext& context, const boost::json::object& body);

}  // namespace payonce::engine
