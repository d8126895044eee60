// Tools and the choice among them, as each dialect spells them, into the one form of a Conversation.
// Threads: pure functions. What is wrong is kept in `fields`.
#pragma once

#include "engine/api/conversation.h"
#include "engine/api/json_fields.h"

namespace payonce::engine {

// OpenAI: "tools", "tool_choice", "parallel_tool_calls". Chat has the function in an object of its own, responses
// have its fields beside the type; either is taken.
void read_openai_tools(Fields& fields, Conversation& out);
// Anthropic: "tools" with input_schema, "tool_choice" with disable_parallel_tool_use.
void read_anthropic_tools(Fields& fields, Conversation& out);

// The content of a message: a string, or a list of parts of text, each of which may carry cache_control. They go to
// the last turn of `out`. `what`: how the answer calls the message in errors is in `fields`.
void read_text_content(Fields& fields, std::string_view name, Conversation& out);
// One part of such a list; false (and refused) when it is not text.
bool read_text_part(Fields& part, Conversation& out);

}  // namespace payonce::engine
