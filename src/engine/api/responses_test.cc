// POST /v1/responses.
#include "engine/api/api_fixture.h"
#include "llm/response.h"

namespace payonce::engine {
namespace {

constexpr const char* kResponsesPath = "/v1/responses";
const std::string kResponsesBody = R"({"model":"m","input":"Hi"})";
constexpr std::string_view kResponsesTools =
    R"([{"type":"function","name":"weather","description":"d","parameters":{"type":"object"},"strict":true}])";

class ResponsesTest : public ApiTest {
 protected:
  std::string refused(std::string_view name, std::string_view value) {
    return refusal(kResponsesPath, with(kResponsesBody, name, value));
  }
};

TEST_F(ResponsesTest, AWholeAnswerLooksAsTheApiSays) {
  const auto received =
      send(kResponsesPath, with(with(kResponsesBody, "instructions", "\"Be brief\""), "max_output_tokens", "9"));
  EXPECT_EQ(json::parse(chat.inputs[0].messages_json),
            J(R"([{"role":"system","content":"Be brief"},{"role":"user","content":"Hi"}])"));
  EXPECT_EQ(asked().stopping.max_tokens, 9);
  engine.say(0, "Hello");
  engine.end(0);
  engine.done(0, {.prompt_tokens = 8, .cached_tokens = 5, .completion_tokens = 2});
  run();
  json::object body = received->object();
  EXPECT_TRUE(std::string_view(body["id"].as_string()).starts_with("resp_"));
  json::object& item = body["output"].as_array().at(0).as_object();
  EXPECT_TRUE(std::string_view(item["id"].as_string()).starts_with("msg_"));
  item["id"] = "MSG";
  body["id"] = "ID";
  EXPECT_EQ(body, J(R"({"id":"ID","object":"response","created_at":1790000000,"status":"completed","background":false,
        "error":null,
    "incomplete_details":null,"model":"m","output":[{"id":"MSG","type":"message","status":"completed","role":"assistant","content":[
    {"type":"output_text","annotations":[],"logprobs":[],"text":"Hello"}]}],"instructions":"Be brief",
        "max_output_tokens":9,"metadata":{},
    "parallel_tool_calls":true,"previous_response_id":null,"reasoning":{"effort":null,"summary":null},"service_tier":"default","store":false,
    "temperature":1.0,"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],"top_p":1.0,"truncation":"disabled","user":null,
    "usage":{"input_tokens":8,"input_tokens_details":{"cached_tokens":5,"cache_write_tokens":0},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},
    "total_tokens":10}})"));
}

TEST_F(ResponsesTest, AStreamHasTheOfficialOrder) {
  const auto received = send(kResponsesPath, with(kResponsesBody, "stream", "true"));
  engine.say(0, "Hel");
  run();
  engine.say(0, "lo");
  engine.end(0);
  engine.done(0, {.prompt_tokens = 8, .completion_tokens = 2});
  run();
  EXPECT_EQ(
      received->event_names(),
      (std::vector<std::string>{"response.created", "response.in_progress", "response.output_item.added",
                                "response.content_part.added", "response.output_text.delta",
                                "response.output_text.delta", "response.output_text.done",
                                "response.content_part.done", "response.output_item.done", "response.completed"}));
  const auto events = received->events();
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].at("sequence_number"), i);
    EXPECT_EQ(std::string(events[i].at("type").as_string()), received->event_names()[i]);
  }
  EXPECT_EQ(events[0].at("response").at("status"), "in_progress");
  EXPECT_EQ(events[0].at("response").at("output"), json::array());
  EXPECT_EQ(events[4].at("delta"), "Hel");
  EXPECT_EQ(events[4].at("item_id"), events[2].at("item").at("id"));
  EXPECT_EQ(events[4].at("content_index"), 0);
  EXPECT_EQ(events[6].at("text"), "Hello");
  EXPECT_EQ(events[8].at("item").at("content").at(0).at("text"), "Hello");
  EXPECT_EQ(events[9].at("response").at("output").at(0), events[8].at("item"));
  EXPECT_EQ(events[9].at("response").at("usage").at("total_tokens"), 10);
  EXPECT_TRUE(llm::analyse(llm::Dialect::kOpenAiResponses, llm::Form::kStream, received->body()).complete);
}

TEST_F(ResponsesTest, FunctionCallsAreItemsOfTheirOwn) {
  const auto received = send(kResponsesPath, with(with(kResponsesBody, "tools", kResponsesTools), "stream", "true"));
  const std::string text = R"(Well.<tool_call>{"name": "weather", "arguments": {"city":"Bonn"}}</tool_call>)";
  answer_byte_by_byte(text);
  std::string arguments, call_id;
  for (const json::object& event : received->events()) {
    if (event.at("type") == "response.function_call_arguments.delta") arguments += event.at("delta").as_string();
    if (event.at("type") == "response.output_item.added" && event.at("output_index") == 1) {
      EXPECT_EQ(event.at("item").at("type"), "function_call");
      EXPECT_EQ(event.at("item").at("arguments"), "");
      call_id = event.at("item").at("call_id").as_string();
    }
  }
  EXPECT_EQ(arguments, R"({"city":"Bonn"})");
  const json::object last = received->events().back().at("response").as_object();
  ASSERT_EQ(last.at("output").as_array().size(), 2u);
  EXPECT_EQ(last.at("output").at(1).at("arguments"), json::value(arguments));
  EXPECT_EQ(last.at("output").at(1).at("call_id"), json::value(call_id));
  EXPECT_TRUE(call_id.starts_with("call_"));
  EXPECT_EQ(last.at("tools"), J(kResponsesTools));
}

TEST_F(ResponsesTest, AnAnswerThatIsCutIsIncomplete) {
  for (const bool stream : {false, true}) {
    engine.requests.clear();
    const auto received = send(kResponsesPath, with(kResponsesBody, "stream", stream ? "true" : "false"));
    engine.answer(0, "Hel", Finish::kLength);
    run();
    const json::object body = stream ? received->events().back().at("response").as_object() : received->object();
    EXPECT_EQ(body.at("status"), "incomplete");
    EXPECT_EQ(body.at("incomplete_details"), J(R"({"reason":"max_output_tokens"})"));
    EXPECT_EQ(body.at("output").at(0).at("status"), "incomplete");
    EXPECT_EQ(received->body().find("response.incomplete") != std::string::npos, stream);
  }
}

TEST_F(ResponsesTest, ItemsBecomeTurns) {
  send(kResponsesPath, with(kResponsesBody, "input",
                            R"([{"role":"developer","content":"D"},{"type":"message","role":"user","content":[
    {"type":"input_text","text":"a"}]},{"type":"reasoning","id":"rs","summary":[]},{"role":"assistant","content":[
    {"type":"output_text","text":"b","annotations":[]}]},{"type":"function_call","call_id":"c1","name":"f",
        "arguments":"{}"},
    {"type":"function_call","call_id":"c2","name":"g","arguments":"{}"},
    {"type":"function_call_output","call_id":"c1","output":"r1"},
    {"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"r2"}]}])"));
  EXPECT_EQ(json::parse(chat.inputs.at(0).messages_json),
            J(R"([{"role":"system","content":"D"},{"role":"user","content":"a"},
    {"role":"assistant","content":"b","tool_calls":[{"id":"c1","type":"function","function":{"name":"f",
        "arguments":"{}"}},
    {"id":"c2","type":"function","function":{"name":"g","arguments":"{}"}}]},
    {"role":"tool","content":"r1","tool_call_id":"c1"},{"role":"tool","content":"r2","tool_call_id":"c2"}])"));
}

TEST_F(ResponsesTest, FormatAndChoiceReachTheTemplate) {
  send(kResponsesPath,
       with(kResponsesBody, "text", R"({"format":{"type":"json_schema","name":"x","schema":{"type":"integer"}}})"));
  EXPECT_EQ(asked().grammar.gbnf, R"(schema:{"type":"integer"})");
  send(kResponsesPath, with(with(kResponsesBody, "tools", kResponsesTools), "tool_choice",
                            R"({"type":"function","name":"weather"})"));
  EXPECT_EQ(chat.inputs.back().tool_choice, "required");
  send(kResponsesPath, with(kResponsesBody, "reasoning", R"({"effort":"none"})"));
  EXPECT_FALSE(chat.inputs.back().enable_thinking);
}

TEST_F(ResponsesTest, WhatIsNotStoredOrServedIsSaid) {
  EXPECT_NE(refused("previous_response_id", "\"resp_1\"").find("not stored"), std::string::npos);
  EXPECT_NE(refused("conversation", "\"conv_1\"").find("not stored"), std::string::npos);
  EXPECT_NE(refused("background", "true").find("background"), std::string::npos);
  EXPECT_NE(refused("input", R"([{"type":"item_reference","id":"x"}])").find("not stored"), std::string::npos);
  EXPECT_NE(refused("input", R"([{"type":"computer_call"}])").find("computer_call"), std::string::npos);
  EXPECT_NE(refused("input", R"([{"role":"user","content":[{"type":"input_image"}]}])").find("input_image"),
            std::string::npos);
  EXPECT_NE(refused("tools", R"([{"type":"web_search"}])").find("tools[0].type"), std::string::npos);
  for (const char* value : {"7", "[]", "null", "[7]", R"([{"role":"user"}])"})
    EXPECT_NE(refused("input", value).find("input"), std::string::npos) << value;
  EXPECT_EQ(send(kResponsesPath, with(kResponsesBody, "store", "true"))->heads, 0)
      << "accepted, and answered as not stored";
}

}  // namespace
}  // namespace payonce::engine
