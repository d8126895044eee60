// Bodies that nobody would write: an answer, or a request that the engine can take, never a crash.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "engine/api/api_fixture.h"

namespace payonce::engine {
namespace {

struct Good {
  std::string path;
  json::value body;
};

const std::vector<Good>& good_requests() {
  static const std::vector<Good> kGood = {
      {"/v1/chat/completions",
       J(R"({"model":"m","max_tokens":5,"n":2,"stop":["x"],"logit_bias":{"1":1},"logprobs":true,"top_logprobs":2,
         "messages":[{"role":"system","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]},
           {"role":"user","content":"q"},{"role":"assistant","content":null,
            "tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},
           {"role":"tool","tool_call_id":"1","content":"r"}],
         "tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"stream":true,
         "stream_options":{"include_usage":true}})")},
      {"/v1/completions",
       J(R"({"prompt":["a",[1,2]],"echo":true,"logprobs":1,"n":2,"best_of":3,"temperature":0.5,"max_tokens":3})")},
      {"/v1/messages",
       J(R"({"max_tokens":5,"system":[{"type":"text","text":"S","cache_control":{"type":"ephemeral","ttl":"1h"}}],
         "messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]},
           {"role":"assistant","content":[{"type":"tool_use","id":"1","name":"f","input":{}}]},
           {"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":[{"type":"text",
        "text":"r"}]}]}],
         "tools":[{"name":"f","input_schema":{"type":"object"},"cache_control":{"type":"ephemeral","ttl":"1h"}}],
         "stop_sequences":["x"],"stream":true,"thinking":{"type":"enabled","budget_tokens":1024}})")},
      {"/v1/messages/count_tokens", J(R"({"messages":[{"role":"user","content":"x"}],"system":"S"})")},
      {"/v1/responses", J(R"({"input":[{"role":"user","content":[{"type":"input_text","text":"x"}]},
           {"type":"function_call","call_id":"1","name":"f","arguments":"{}"},
           {"type":"function_call_output","call_id":"1","output":"r"}],"instructions":"I","stream":true,
         "tools":[{"type":"function","name":"f","parameters":{}}],"max_output_tokens":9,
         "text":{"format":{"type":"json_schema","schema":{"type":"object"}}}})")}};
  return kGood;
}

const std::vector<std::string> kWords = {
    "",         "text",         "user",      "system", "assistant", "tool",     "function",      "auto",
    "required", "json_schema",  "ephemeral", "1h",     "message",   "tool_use", "function_call", "tool_result",
    "thinking", "\xE2\x98\x83", "none",      "f"};
const std::vector<std::string> kNames = {"messages",
                                         "role",
                                         "content",
                                         "type",
                                         "text",
                                         "tools",
                                         "function",
                                         "name",
                                         "parameters",
                                         "input_schema",
                                         "tool_choice",
                                         "tool_calls",
                                         "tool_call_id",
                                         "arguments",
                                         "cache_control",
                                         "ttl",
                                         "system",
                                         "max_tokens",
                                         "n",
                                         "best_of",
                                         "logprobs",
                                         "top_logprobs",
                                         "echo",
                                         "prompt",
                                         "stop",
                                         "stream",
                                         "stream_options",
                                         "include_usage",
                                         "response_format",
                                         "json_schema",
                                         "schema",
                                         "input",
                                         "instructions",
                                         "call_id",
                                         "output",
                                         "id",
                                         "tool_use_id",
                                         "thinking",
                                         "logit_bias",
                                         "seed",
                                         "temperature",
                                         "top_p",
                                         "guided_json",
                                         "grammar",
                                         "format",
                                         "reasoning",
                                         "model",
                                         "7",
                                         "allowed_tools",
                                         "mode",
                                         "output_config",
                                         "suffix",
                                         "min_tokens",
                                         "stop_token_ids",
                                         "beam_width",
                                         "use_beam_search",
                                         "chat_template_kwargs",
                                         "continue_final_message",
                                         "stop_sequences",
                                         "top_k"};

json::value arbitrary_value(int depth) {
  using namespace rc;
  switch (*gen::inRange(0, depth > 0 ? 8 : 6)) {
    case 0: return nullptr;
    case 1: return *gen::arbitrary<bool>();
    case 2: return *gen::arbitrary<int64_t>();
    case 3: return *gen::element(0.5, -1e300, 2.0, 1e19, 0.0, -0.0, 1.5);
    case 4: return json::value(*gen::elementOf(kWords));
    case 5: return *gen::inRange<int64_t>(-3, 300);
    case 6: {
      json::array out;
      for (int i = *gen::inRange(0, 4); i > 0; --i) out.push_back(arbitrary_value(depth - 1));
      return out;
    }
    default: break;
  }
  json::object out;
  for (int i = *gen::inRange(0, 8); i > 0; --i) out[*gen::elementOf(kNames)] = arbitrary_value(depth - 1);
  return out;
}

// Replaces some values by arbitrary ones, at any depth, and adds fields.
void mutate(json::value& value) {
  using namespace rc;
  constexpr int kOneIn = 40;
  if (*gen::inRange(0, kOneIn) == 0) {
    value = arbitrary_value(3);
  } else if (value.is_object()) {
    for (auto& member : value.get_object()) mutate(member.value());
    if (*gen::inRange(0, kOneIn / 4) == 0) value.get_object()[*gen::elementOf(kNames)] = arbitrary_value(3);
  } else if (value.is_array()) {
    for (json::value& element : value.get_array()) mutate(element);
  }
}

class ArbitraryBodies : public ApiTest {
 protected:
  void answer_all() {
    for (size_t i = 0; i < engine.requests.size(); ++i) {
      for (int32_t choice = 0; choice < asked(i).n; ++choice) {
        engine.say(i, "<tool_call>{\"name\": \"f\", \"arguments\": {}}", choice);
        engine.end(i, Finish::kStop, "", choice);
      }
      engine.done(i, {.prompt_tokens = 1});
    }
    run();
  }
};

RC_GTEST_FIXTURE_PROP(ArbitraryBodies, AreAnsweredAndNeverCrash, ()) {
  const Good good = *rc::gen::elementOf(good_requests());
  json::value body = good.body;
  if (*rc::gen::inRange(0, 10) == 0) body = arbitrary_value(4);
  mutate(body);
  const auto received = send(good.path, json::serialize(body));
  for (size_t i = 0; i < engine.requests.size(); ++i) {
    const Generate& request = asked(i);
    RC_ASSERT(!request.prompt.empty());
    RC_ASSERT(static_cast<int32_t>(request.prompt.size()) + request.stopping.max_tokens <= context_tokens);
    RC_ASSERT(request.n >= 1 && request.n <= limits.max_n);
    RC_ASSERT(request.stopping.max_tokens >= 0);
    for (const CacheMark& mark : request.marks)
      RC_ASSERT(mark.tokens > 0 && mark.tokens <= static_cast<int32_t>(request.prompt.size()));
  }
  answer_all();
  RC_CLASSIFY(received->head.status == 200, "served");
  RC_ASSERT(received->heads == 1 && received->ends == 1 && received->errors == 0);
  RC_ASSERT(received->head.status == 200 || received->head.status == 400);
}

}  // namespace
}  // namespace payonce::engine
