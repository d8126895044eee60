#include "identity/canonical.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <boost/json.hpp>
#include <random>
#include <set>
#include <string>

#include "identity/canonical_number.h"
#include "identity/form_fixture.h"
#include "llm/question.h"

namespace payonce::identity {
namespace {

namespace json = boost::json;
using llm::Dialect;

constexpr std::string_view kChat =
    R"({"model":"gpt-4o","messages":[{"role":"system","content":"Be kind."},{"role":"user","content":[{"type":"text","text":"Hi ☃"},)"
    R"({"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"low"}}]},{"role":"assistant","content":null,)"
    R"("tool_calls":[{"id":"call_a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},)"
    R"({"role":"tool","tool_call_id":"call_a","content":"42"}],"temperature":0,"max_tokens":16,"min_p":0.1,"tools":[{"type":"function",)"
    R"("function":{"name":"f","parameters":{"type":"object","properties":{"x":{"type":"number"},"cache_control":{"type":"string"}}}}}],)"
    R"("chat_template_kwargs":{"enable_thinking":false},"user":"u1"})";
constexpr std::string_view kMessages =
    R"({"model":"claude-x","max_tokens":64,"system":[{"type":"text","text":"Be kind.","cache_control":{"type":"ephemeral"}}],)"
    R"("messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},)"
    R"({"type":"tool_use","id":"toolu_1","name":"f","input":{"x":1,"cache_control":"no"}}]},{"role":"user","content":[)"
    R"({"type":"tool_result","tool_use_id":"toolu_1","content":"42"}]}],"tools":[{"name":"f","input_schema":{"type":"object"}}],)"
    R"("metadata":{"user_id":"abc"},"temperature":0.5})";
constexpr std::string_view kResponses =
    R"({"model":"gpt-5","input":[{"role":"user","content":"Hi"},{"type":"function_call","call_id":"call_1","name":"f","arguments":"{}","id":"fc_1"},)"
    R"({"type":"function_call_output","call_id":"call_1","output":"42"}],"instructions":"Be kind.","store":false,"reasoning":{"effort":"low"}})";

struct DialectCase {
  Dialect dialect;
  std::string_view body;
};
constexpr DialectCase kDialectCases[] = {
    {Dialect::kOpenAiChat, kChat}, {Dialect::kAnthropicMessages, kMessages}, {Dialect::kOpenAiResponses, kResponses}};

// Writes a value in another spelling: member order, white space, escapes and number forms drawn from `random`.
void respell(const json::value& value, std::mt19937& random, std::string& out) {
  const auto space = [&] { out.append(random() % 3, " \n\t\r"[random() % 4]); };
  const auto text = [&](std::string_view string) {
    out += '"';
    for (const char c : string) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 0x20 || c == '"' || c == '\\' || (byte < 0x80 && random() % 4 == 0)) {
        char buffer[8];
        (void)snprintf(buffer, sizeof buffer, random() % 2 == 0 ? "\\u%04x" : "\\u%04X", byte);
        out += buffer;
      } else {
        out += c;
      }
    }
    out += '"';
  };
  space();
  if (value.is_object()) {
    std::vector<std::string> keys;
    for (const auto& member : value.get_object()) keys.emplace_back(member.key());
    std::shuffle(keys.begin(), keys.end(), random);
    out += '{';
    for (size_t i = 0; i < keys.size(); ++i) {
      if (i > 0) out += ',';
      space();
      text(keys[i]);
      space();
      out += ':';
      respell(value.get_object().at(keys[i]), random, out);
    }
    out += '}';
  } else if (value.is_array()) {
    out += '[';
    for (size_t i = 0; i < value.get_array().size(); ++i) {
      if (i > 0) out += ',';
      respell(value.get_array()[i], random, out);
    }
    out += ']';
  } else if (value.is_string()) {
    text(value.get_string());
  } else if (value.is_int64()) {
    const std::string digits = std::to_string(value.get_int64());
    const char* const tails[] = {"", ".0", "e0", ".00E+0"};
    out += digits + tails[random() % 4];
  } else {
    out += json::serialize(value);
  }
  space();
}

TEST(Canonical, SpellingDoesNotMatter) {
  rc::check([](unsigned seed) {
    std::mt19937 random(seed);
    for (const DialectCase& one : kDialectCases) {
      std::string other;
      respell(json::parse(one.body), random, other);
      RC_ASSERT(form(one.dialect, other) == form(one.dialect, one.body));
    }
  });
}

// Every place of a document: calls visit(path text, value) for each value below `value`.
template <typename Visit>
void each_place(json::value& value, const std::string& path, Visit&& visit) {
  if (!path.empty()) visit(path, value);
  if (value.is_object())
    for (auto& member : value.get_object()) each_place(member.value(), path + "." + std::string(member.key()), visit);
  if (value.is_array())
    for (size_t i = 0; i < value.get_array().size(); ++i)
      each_place(value.get_array()[i], path + "." + std::to_string(i), visit);
}

// Places whose value the form leaves out, or takes only as a link between messages.
bool is_free(const std::string& path) {
  if (path.find(".cache_control") != std::string::npos && path.find("properties") == std::string::npos &&
      path.find(".input.") == std::string::npos)
    return true;
  return path.ends_with("tool_calls.0.id") || path.ends_with("tool_call_id") || path.ends_with("tool_use_id") ||
         path.ends_with("call_id") || path == ".messages.1.content.1.id";
}

TEST(Canonical, AnyOtherValueAnywhereGivesAnotherKey) {
  for (const DialectCase& one : kDialectCases) {
    const std::string original = form(one.dialect, one.body);
    json::value document = json::parse(one.body);
    size_t changes = 0;
    each_place(document, "", [&](const std::string& path, json::value& value) {
      if (is_free(path)) return;
      const json::value kept = value;
      for (const json::value& other :
           {json::value("changed"), json::value(987654), json::value(nullptr), json::value(true),
            json::value(json::array{kept}), json::value(json::object{{"wrapped", kept}})}) {
        if (other == kept) continue;
        value = other;
        EXPECT_NE(form(one.dialect, json::serialize(document)), original) << llm::dialect_name(one.dialect) << path;
        ++changes;
      }
      value = kept;
    });
    EXPECT_GT(changes, 50u);
  }
}

TEST(Canonical, AFieldThatNobodyKnowsYetCountsEverywhere) {
  for (const DialectCase& one : kDialectCases) {
    const std::string original = form(one.dialect, one.body);
    const auto add_to = [&](size_t wanted,
                            int value) {  // the form with the field added to the wanted-th object; "" past the last
      json::value document = json::parse(one.body);
      std::vector<json::object*> objects{&document.get_object()};
      each_place(document, "", [&](const std::string& path, json::value& place) {
        if (place.is_object() && path.find(".cache_control") == std::string::npos)
          objects.push_back(&place.get_object());
      });
      if (wanted >= objects.size()) return std::string();
      (*objects[wanted])["field_of_tomorrow"] = value;
      return form(one.dialect, json::serialize(document));
    };
    size_t index = 0;
    for (; !add_to(index, 1).empty(); ++index) {
      EXPECT_NE(add_to(index, 1), original) << index;
      EXPECT_NE(add_to(index, 1), add_to(index, 2)) << index;
    }
    EXPECT_GT(index, 4u);
  }
}

TEST(Canonical, TransportFieldsDoNotCount) {
  const std::string plain = form(Dialect::kOpenAiChat, R"({"model":"m","messages":[]})");
  for (const char* same :
       {R"({"model":"m","messages":[],"stream":true})", R"({"model":"m","messages":[],"stream":false})",
        R"({"stream_options":{"include_usage":true},"model":"m","messages":[]})",
        R"({"stream_options":null,"model":"m","messages":[],"prompt_cache_key":"x"})"})
    EXPECT_EQ(form(Dialect::kOpenAiChat, same), plain) << same;
  EXPECT_NE(form(Dialect::kOpenAiChat, R"({"model":"m","messages":[],"stream_options":{"new":1}})"), plain);
}

TEST(Canonical, AStringIsOneTextPart) {
  const auto chat = [](std::string_view content) {
    return form(Dialect::kOpenAiChat, R"({"messages":[{"role":"user","content":)" + std::string(content) + "}]}");
  };
  EXPECT_EQ(chat(R"("Hi")"), chat(R"([{"type":"text","text":"Hi"}])"));
  EXPECT_NE(chat(R"("Hi")"), chat(R"([{"type":"text","text":"H"},{"type":"text","text":"i"}])"));
  EXPECT_NE(chat(R"("Hi")"), chat(R"([{"type":"text","text":"Hi","x":1}])"));
  EXPECT_NE(chat(R"("")"), chat("null"));

  const auto messages = [](std::string_view system, std::string_view result) {
    return form(Dialect::kAnthropicMessages,
                R"({"system":)" + std::string(system) + R"(,"messages":[{"role":"user","content":[{"type":)" +
                    R"("tool_result","tool_use_id":"t","content":)" + std::string(result) + "}]}]}");
  };
  EXPECT_EQ(messages(R"("S")", R"("R")"),
            messages(R"([{"text":"S","type":"text","cache_control":{"type":"ephemeral"}}])",
                     R"([{"type":"text","text":"R"}])"));

  const auto responses = [](std::string_view input) {
    return form(Dialect::kOpenAiResponses, R"({"input":)" + std::string(input) + "}");
  };
  EXPECT_EQ(responses(R"("Hi")"), responses(R"([{"role":"user","content":"Hi"}])"));
  EXPECT_EQ(responses(R"("Hi")"),
            responses(R"([{"type":"message","role":"user","content":[{"type":"input_text","text":"Hi"}]}])"));
  EXPECT_NE(responses(R"("Hi")"), responses(R"([{"role":"assistant","content":"Hi"}])"));
}

TEST(Canonical, ToolCallIdsCountByTheirOrder) {
  const auto chat = [](std::string_view first, std::string_view second, std::string_view answered) {
    return form(
        Dialect::kOpenAiChat,
        fmt::format(
            R"({{"messages":[{{"role":"assistant","tool_calls":[{{"id":"{}"}},{{"id":"{}"}}]}},{{"role":"tool","tool_call_id":"{}"}}]}})",
            first, second, answered));
  };
  EXPECT_EQ(chat("a", "b", "a"), chat("x", "y", "x"));
  EXPECT_NE(chat("a", "b", "a"), chat("a", "b", "b"));  // the result of the other call
  EXPECT_NE(chat("a", "b", "a"), chat("a", "a", "a"));
}

TEST(Canonical, TwoMembersOfOneNameBothCount) {
  EXPECT_NE(form(Dialect::kOpenAiChat, R"({"model":"a","model":"b"})"),
            form(Dialect::kOpenAiChat, R"({"model":"b","model":"a"})"));
  EXPECT_NE(form(Dialect::kOpenAiChat, R"({"model":"b"})"),
            form(Dialect::kOpenAiChat, R"({"model":"a","model":"b"})"));
}

TEST(Canonical, KnownPartsChangeNothing) {
  PartDigests known;
  const std::string filler(2000, 'x');
  for (const std::string& name : profiles().names())
    for (int turn = 0; turn < 3; ++turn)
      for (const char* id : {"a", "b"})
        for (const Dialect dialect : {Dialect::kOpenAiChat, Dialect::kOpenAiResponses, Dialect::kAnthropicMessages}) {
          const std::string body = fmt::format(
              R"({{"system":"{0}","tools":[{{"name":"{0}"}}],"metadata":{{"user_id":"{1}"}},"messages":[{{"role":"user","content":"{0}"}},)"
              R"({{"role":"tool","tool_call_id":"{1}","content":"Command: {0}\nProcess Group PGID: {2}"}},{{"role":"tool","tool_call_id":"b","content":"{0}"}}],)"
              R"("input":[{{"id":"{1}","role":"user","content":"{0}"}},{{"call_id":"{1}","output":"Chunk ID: {2}\nOutput:\n{0}"}}]}})",
              filler, id, turn);
          const auto request = llm::parse_request(dialect, base::Bytes::copy(body)).value();
          const Profile& profile = *profiles().find(name);
          EXPECT_EQ(canonical_form(request, profiles(), profile, &known),
                    canonical_form(request, profiles(), profile));
        }
}

// The time that a request takes must not tell what another scope has sent.
TEST(Canonical, KnownPartsAreOfTheirScopeAlone) {
  PartDigests known;
  const std::string body = fmt::format(R"({{"tools":["{}"]}})", std::string(2000, 'x'));
  const auto request = llm::parse_request(Dialect::kOpenAiChat, base::Bytes::copy(body)).value();
  const Profile& profile = profiles().generic();
  const auto of = [&](std::string_view scope) {
    return canonical_form(request, profiles(), profile, &known, llm::Tape::kNone, scope);
  };
  const std::string form = of("s-a");
  const std::string_view tools =
      request.tape.raw(request.body.view(), request.tape.find(request.body.view(), 0, "tools"));
  const auto key = known.hash("tools", "openai_chat|generic", "s-a", tools);
  ASSERT_NE(known.find(key), nullptr);
  known.insert(key, {});  // a digest that is wrong shows where it is taken from
  EXPECT_NE(of("s-a"), form);
  EXPECT_EQ(of("s-b"), form);
}

TEST(Canonical, AnIdThatSaysSomethingIsNoLink) {
  const auto with = [](std::string_view id) {
    return form(Dialect::kOpenAiChat,
                fmt::format(R"({{"messages":[{{"role":"tool","tool_call_id":"{}","content":"1"}}]}})", id));
  };
  EXPECT_EQ(with("call_1"), with("toolu-2.x:y|fc_3"));
  EXPECT_NE(with("call_1"), with("Say that it is down."));
  EXPECT_NE(with("call_1"), with(std::string(200, 'a')));
}

TEST(Canonical, ToolArgumentsNamedLikeAMarkCount) {
  EXPECT_NE(form(Dialect::kAnthropicMessages,
                 R"({"messages":[{"content":[{"type":"tool_use","input":{"cache_control":1}}]}]})"),
            form(Dialect::kAnthropicMessages,
                 R"({"messages":[{"content":[{"type":"tool_use","input":{"cache_control":2}}]}]})"));
}

TEST(CanonicalNumber, OneSpellingForOneValueAndNoRounding) {
  const auto number = [](std::string_view raw) {
    std::string out;
    append_canonical_number(out, raw);
    return out;
  };
  for (const char* one : {"1", "1.0", "1e0", "10e-1", "0.1E1", "1.000"}) EXPECT_EQ(number(one), "1e0") << one;
  for (const char* zero : {"0", "-0", "0.0", "0e9", "-0.00"}) EXPECT_EQ(number(zero), "0") << zero;
  EXPECT_EQ(number("-1.50"), "-15e-1");
  EXPECT_NE(number("12345678901234567890"), number("12345678901234567891"));
  EXPECT_NE(number("0.1"), number("0.10000000000000001"));
  EXPECT_EQ(number("1e99999999999999999999"), "1e99999999999999999999");
}

TEST(ResponseKey, EachPartCounts) {
  const auto request = llm::parse_request(Dialect::kOpenAiChat, base::Bytes::copy(kChat)).value();
  const auto key = [&](KeyParts parts) {
    return response_key(request, profiles(), profiles().generic(), parts).text();
  };
  const KeyParts base{
      .scope_id = "u-1", .target = "/v1/chat/completions", .upstream = "a", .versions = "", .beta = ""};
  std::set<std::string> keys{key(base)};
  for (const auto& [field, value] : {std::pair{&KeyParts::scope_id, "u-2"},
                                     {&KeyParts::target, "/v1/chat/completions?x=1"},
                                     {&KeyParts::upstream, "b"},
                                     {&KeyParts::versions, "tools=v3"},
                                     {&KeyParts::beta, "x"}}) {
    KeyParts other = base;
    other.*field = value;
    EXPECT_TRUE(keys.insert(key(other)).second);
  }
}

// A change here is a decision: raise kKeyVersion, say so in docs/formats/keys.md.
TEST(ResponseKey, GoldenFormAndKey) {
  const std::string_view body =
      R"({"model":"m","messages":[{"role":"user","content":"Hi"}],"temperature":0.70,"stream":true})";
  EXPECT_EQ(form(Dialect::kOpenAiChat, body),
            "{\"8:messages[^" +
                base::hex(base::sha256("{\"7:content[{\"4:text\"2:Hi\"4:type\"4:text}]\"4:role\"4:user}")) +
                "]\"5:model\"1:m\"11:temperature#7e-1;}");
  const auto request = llm::parse_request(Dialect::kOpenAiChat, base::Bytes::copy(body)).value();
  EXPECT_EQ(response_key(
                request, profiles(), profiles().generic(),
                {.scope_id = "u-1", .target = "/v1/chat/completions", .upstream = "up", .versions = "", .beta = ""})
                .text(),
            "resp:v1:u-1:74f6ac3b1ffbba10fbd3fd3a4a804c9ff0675343b598515cc99b12ff919d59d6");
}

// All but the question counts for the context, in each dialect, with and without digests of known parts.
TEST(ContextKey, IsEqualForOtherQuestionsAndForNothingElse) {
  const KeyParts parts{.scope_id = "u-1", .target = "/v1/x", .upstream = "a", .versions = "", .beta = ""};
  const std::string long_text(2000, 'x');
  const auto body = [&](Dialect dialect, std::string_view question, std::string_view earlier, std::string_view more,
                        bool list = false) {
    const char* name = dialect == Dialect::kOpenAiResponses ? "input" : "messages";
    const char* part = dialect == Dialect::kOpenAiResponses ? "input_text" : "text";
    const std::string content =
        list ? fmt::format(R"([{{"type":"{}","text":"{}"}}])", part, question) : fmt::format("\"{}\"", question);
    return fmt::format(R"({{"model":"m","{}":[{{"role":"user","content":"{}"}},{{"role":"assistant","content":"b"}},)"
                       R"({{"role":"user","content":{}}}]{}}})",
                       name, earlier, content, more);
  };
  PartDigests digests;
  const auto key = [&](Dialect dialect, const std::string& text, PartDigests* known) {
    const auto request = llm::parse_request(dialect, base::Bytes::copy(text)).value();
    const auto question = llm::question_of(request);
    if (!question) throw std::runtime_error("no question: " + text);
    const CacheKey context = context_key(request, profiles(), profiles().generic(), parts, question->node, known);
    EXPECT_NE(context.hash, response_key(request, profiles(), profiles().generic(), parts, known).hash);
    return context.text();
  };
  for (const Dialect dialect : {Dialect::kOpenAiChat, Dialect::kAnthropicMessages, Dialect::kOpenAiResponses})
    for (PartDigests* known : {static_cast<PartDigests*>(nullptr), &digests}) {
      const std::string context = key(dialect, body(dialect, "Why?", "a", ""), known);
      EXPECT_TRUE(context.starts_with("ctx:v1:u-1:"));
      EXPECT_EQ(context, key(dialect, body(dialect, "How?", "a", ""), known));
      EXPECT_EQ(context, key(dialect, body(dialect, long_text, "a", ""), known));
      EXPECT_EQ(context, key(dialect, body(dialect, "How?", "a", "", true), known));
      EXPECT_NE(context, key(dialect, body(dialect, "Why?", "A", ""), known));
      EXPECT_NE(context, key(dialect, body(dialect, "Why?", long_text, ""), known));
      EXPECT_NE(context, key(dialect, body(dialect, "Why?", "a", R"(,"temperature":0)"), known));
      EXPECT_NE(context, key(dialect, body(dialect, "Why?", "a", R"(,"tools":[])"), known));
    }
}

TEST(Versions, AreSortedAndChecked) {
  const auto versions = [](std::string_view value) {
    net::Headers headers;
    headers.add("X-Payonce-Version", value);
    return versions_of(headers);
  };
  EXPECT_EQ(versions("tools=v3, kb=2026-11").value(), "kb=2026-11,tools=v3");
  EXPECT_EQ(versions("kb=2026-11 ,tools = v3").value(), "kb=2026-11,tools=v3");
  EXPECT_EQ(versions("").value(), "");
  for (const char* bad : {"v3", "=v3", "tools=", "tools=v3,tools=v4"}) EXPECT_FALSE(versions(bad)) << bad;
}

}  // namespace
}  // namespace payonce::identity
