// The readers, one file each: claims_x() and make_x() of x.cc.  See reader.h.
#pragma once

#include "history/reader.h"

namespace payonce::history {

bool claims_lite_llm(const Json& value);
bool claims_helicone(const Json& value);
bool claims_langfuse(const Json& value);
bool claims_batch(const Json& value);
bool claims_claude_code(const Json& value);
bool claims_codex(const Json& value);
bool claims_gemini_cli(const Json& value);
bool claims_open_code(const Json& value);
bool claims_otel(const Json& value);

std::unique_ptr<Reader> make_rows(Sink& sink);
std::unique_ptr<Reader> make_lite_llm(Sink& sink);
std::unique_ptr<Reader> make_helicone(Sink& sink);
std::unique_ptr<Reader> make_langfuse(Sink& sink);
std::unique_ptr<Reader> make_batch(Sink& sink);
std::unique_ptr<Reader> make_claude_code(Sink& sink);
std::unique_ptr<Reader> make_codex(Sink& sink);
std::unique_ptr<Reader> make_gemini_cli(Sink& sink);
std::unique_ptr<Reader> make_open_code(Sink& sink);
std::unique_ptr<Reader> make_otel(Sink& sink);

}  // namespace payonce::history
