// Each breaker as it is found in the wild.
#include <fmt/format.h>

#include <algorithm>

#include "prefix/breakers/corpus.h"

namespace payonce::prefix::corpus {
namespace {

using llm::Dialect;

bool anywhere(Scene, Dialect) { return true; }
bool in_agent(Scene scene, Dialect) { return scene == Scene::kAgent; }
bool in_talk(Scene scene, Dialect) { return scene != Scene::kRetrieval; }
bool in_retrieval(Scene scene, Dialect) { return scene == Scene::kRetrieval; }
bool is_anthropic_agent(Scene scene, Dialect dialect) {
  return scene == Scene::kAgent && dialect == Dialect::kAnthropicMessages;
}

// A line of its own at one of three places of the system text.
void insert_line(std::string& text, const std::string& line, unsigned where) {
  if (where % 3 == 0) {
    text = line + "\n" + text;
  } else if (where % 3 == 1) {
    text.insert(text.find('\n', text.size() / 2) + 1, line + "\n");
  } else {
    text += line + "\n";
  }
}

template <typename Line>  // Line(call, index of the call)
auto system_line(Line line) {
  return [line](Calls& calls, Dialect, std::mt19937& random) {
    const unsigned where = static_cast<unsigned>(random()), form = static_cast<unsigned>(random());
    for (size_t i = 0; i < calls.size(); ++i) insert_line(calls[i].system[0], line(calls[i], i, form, random), where);
  };
}

std::string clock_line(const Call&, size_t i, unsigned form, std::mt19937&) {
  const unsigned minute = 5 + static_cast<unsigned>(i);
  switch (form % 8) {
    case 0: return fmt::format("Current time: 2026-03-03T14:{:02}:09Z", minute);
    case 1: return fmt::format("Today is Tuesday, 3 March 2026, 14:{:02}.", minute);
    case 2: return fmt::format("Now: {}", 1'772'546'709 + 60 * i);
    case 3: return fmt::format("The time is 2:{:02} PM on March 3rd, 2026.", minute);
    case 4: return fmt::format("timestamp={}", 1'772'546'709'123 + 61'000 * i);
    case 5: return fmt::format("Date: Tue, 03 Mar 2026 14:{:02}:11 GMT", minute);
    case 6: return fmt::format("[2026-03-03 14:{:02}:00.123+01:00] session context", minute);
    default: return fmt::format("Generated at 03/03/2026 14:{:02}", minute);
  }
}

std::string id_line(const Call&, size_t, unsigned form, std::mt19937& random) {
  const auto draw = [&](const char* alphabet, size_t size, int count) {
    std::string out;
    for (int i = 0; i < count; ++i) out += alphabet[random() % size];
    return out;
  };
  const auto hex = [&](int count) { return draw("0123456789abcdef", 16, count); };
  switch (form % 6) {
    case 0: return fmt::format("Request-ID: {}-{}-4{}-a{}-{}", hex(8), hex(4), hex(3), hex(3), hex(12));
    case 1: return fmt::format("trace {}", hex(32));
    case 2: return "nonce=" + draw("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 32, 26);
    case 3: return "run id: " + draw("useandom-26T198340PX75pxJACKVERYMINDBUSHWOLF_GQZbfghjklqvwyzrict", 64, 21);
    case 4: return "(req_011" + draw("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz123456789", 58, 20) + ")";
    default: return fmt::format("x-correlation-id: 019{}-{}-7{}-b{}-{}", hex(5), hex(4), hex(3), hex(3), hex(12));
  }
}

std::string workspace_line(const Call&, size_t i, unsigned form, std::mt19937&) {
  if (form % 3 == 0) {
    std::string out = "Git status:\n M src/app.py";
    for (size_t k = 0; k < i; ++k) out += fmt::format("\n?? src/new_{}.py", k);
    return out;
  }
  if (form % 3 == 1) return fmt::format("Tokens left in budget: {}", 190'000 - 1713 * i);
  return fmt::format("Working directory: /home/dev/project/step{}\nOpen files: {}", i, i + 2);
}

std::string user_line(const Call& call, size_t, unsigned form, std::mt19937&) {
  static constexpr const char* kNames[] = {"Alice Smith", "Bob Jones", "Chandra Rao",
                                           "Dana Li",     "Emil Ek",   "Fatima Noor"};
  const std::string name = kNames[call.conversation % 6];
  const std::string mail = std::string(1, static_cast<char>(name[0] + 32)) + "@example.com";
  switch (form % 3) {
    case 0: return fmt::format("You are helping {} <{}>.", name, mail);
    case 1: return fmt::format("User: {}", name);
    default: return fmt::format("The customer's e-mail is {}.", mail);
  }
}

void whitespace(Calls& calls, Dialect, std::mt19937& random) {
  const bool line_ends = random() % 2 == 0;
  for (size_t i = 1; i < calls.size(); i += 2) {
    std::string out;
    for (const char c : calls[i].system[0])
      out += line_ends && c == '\n' ? "\r\n" : !line_ends && c == '.' ? ". " : std::string(1, c);
    calls[i].system[0] = out;
  }
}

void tool_order(Calls& calls, Dialect, std::mt19937&) {
  for (size_t i = 1; i < calls.size(); i += 2) std::swap(calls[i].tools[1], calls[i].tools[3]);
}

void tool_set(Calls& calls, Dialect, std::mt19937& random) {
  const Tool late{"mcp_issue_tracker", "Finds issues. " + long_text(80, random), calls[0].tools[0].schema};
  const bool front = random() % 2 == 0;
  for (Call& call : calls)
    if (call.turn >= 2) call.tools.insert(front ? call.tools.begin() : call.tools.end(), late);
}

json::object reversed(const json::object& from) {
  json::object out;
  std::vector<const json::object::value_type*> members;
  for (const auto& member : from) members.push_back(&member);
  for (auto it = members.rbegin(); it != members.rend(); ++it) out[(*it)->key()] = (*it)->value();
  return out;
}

void key_order(Calls& calls, Dialect, std::mt19937&) {
  for (size_t i = 1; i < calls.size(); i += 2)
    for (Tool& tool : calls[i].tools) tool.schema = reversed(tool.schema);
}

void respelled(Calls& calls, Dialect, std::mt19937&) {
  for (size_t i = 1; i < calls.size(); i += 2)
    for (Message& message : calls[i].messages)
      for (ToolCall& call : message.calls) {
        call.input = reversed(call.input);
        std::string spaced;
        for (const char c : json::serialize(call.input)) spaced += c == ':' ? ": " : std::string(1, c);
        call.spelled = spaced;
      }
}

void edited(Calls& calls, Dialect, std::mt19937&) {
  for (Call& call : calls)
    if (call.turn >= 3)
      for (Message& message : call.messages)
        if (!message.results.empty()) {
          message.results[0].second = "[Old tool result content cleared]";
          break;
        }
}

void truncated(Calls& calls, Dialect, std::mt19937&) {
  for (Call& call : calls)
    if (call.messages.size() > 5) call.messages.erase(call.messages.begin(), call.messages.end() - 5);
}

void stripped(Calls& calls, Dialect, std::mt19937&) {
  for (Call& call : calls) {
    size_t with = 0;
    for (const Message& message : call.messages) with += message.thinking.empty() ? 0 : 1;
    for (Message& message : call.messages)
      if (!message.thinking.empty() && with-- > 1) message.thinking.clear();
  }
}

void image(Calls& calls, Dialect, std::mt19937& random) {
  const bool data = random() % 2 == 0;
  for (size_t i = 0; i < calls.size(); ++i)
    calls[i].messages[0].image =
        data ? fmt::format("data:image/png;base64,iVBORw0KGgoAAAANSUhEUg{:08}AAAAB", 7919 * i)
             : fmt::format("https://cdn.example.com/shot.png?sig={:x}&exp={}", 7919 * i, 1772546709 + i);
}

template <typename Set>
auto on_odd_turns(Set set) {
  return [set](Calls& calls, Dialect dialect, std::mt19937&) {
    for (Call& call : calls)
      if (call.turn % 2 == 1) set(call, dialect);
  };
}

void choice(Call& call, Dialect dialect) {
  call.extra["tool_choice"] =
      dialect == Dialect::kAnthropicMessages ? json::value(json::object{{"type", "any"}}) : json::value("required");
}
void other_model(Call& call, Dialect dialect) {
  call.model = dialect == Dialect::kAnthropicMessages ? "claude-haiku-4-5" : "gpt-5-mini";
}
void thinking(Call& call, Dialect dialect) {
  if (dialect == Dialect::kAnthropicMessages)
    call.extra["thinking"] = json::object{{"type", "enabled"}, {"budget_tokens", 4096}};
  if (dialect == Dialect::kOpenAiChat) call.extra["reasoning_effort"] = "high";
  if (dialect == Dialect::kOpenAiResponses) call.extra["reasoning"] = json::object{{"effort", "high"}};
}
void other_provider(Call& call, Dialect) { call.provider = "second"; }

void idle(Calls& calls, Dialect, std::mt19937&) {
  for (size_t i = calls.size() - 2; i < calls.size(); ++i) calls[i].unix_ms += int64_t{3} * 3600 * 1000;
}

void volatile_mark(Calls& calls, Dialect, std::mt19937&) {
  for (Call& call : calls) {
    call.mark_system = std::vector<bool>(call.system.size(), false);
    call.mark_last = true;
  }
}

void many_blocks(Calls& calls, Dialect, std::mt19937& random) {
  for (Call& call : calls)
    if (call.turn >= 2)
      for (size_t m = 0; m < call.messages.size(); ++m)
        if (!call.messages[m].calls.empty()) {
          std::mt19937 fixed(7);
          for (int i = 0; i < 14; ++i) {
            call.messages[m + 2].calls.push_back({fmt::format("toolu_many{}", i), "read_file", {{"path", "a"}}, ""});
            call.messages[m + 3].results.emplace_back(fmt::format("toolu_many{}", i), long_text(60, fixed));
          }
          break;
        }
  (void)random;
}

void short_mark(Calls& calls, Dialect, std::mt19937&) {
  for (Call& call : calls) {
    call.system[0] = call.system[0].substr(0, call.system[0].find('\n', 900) + 1);
    call.tools.clear();
    call.mark_last = false;
  }
}

void at_once(Calls& calls, Dialect, std::mt19937&) {
  for (size_t i = 0; i < calls.size(); ++i) {
    calls[i].unix_ms = calls[0].unix_ms + static_cast<int64_t>(i) * 15;
    calls[i].latency_ms = 4000;
  }
}

void busy(Calls& calls, Dialect, std::mt19937& random) {
  const Call one = calls.back();
  for (int i = 0; i < 22; ++i) {
    calls.push_back(one);
    calls.back().session = fmt::format("busy-{}", i);
    calls.back().messages = {{.texts = {long_text(60, random)}}};
    calls.back().unix_ms = one.unix_ms + 5000 + 2100 * i;
  }
}

void chunks(Calls& calls, Dialect, std::mt19937& random) {
  std::vector<std::string> documents;
  for (int i = 0; i < 4; ++i) documents.push_back(long_text(600, random));
  for (Call& call : calls) {
    std::string text = "Documents:\n";
    for (size_t i = 0; i < documents.size(); ++i)
      text += fmt::format("<document index=\"{}\">\n{}</document>\n", i + 1, documents[i]);
    const std::string before = call.messages[0].texts[0];
    call.messages[0].texts[0] = text + before.substr(before.rfind("\nQuestion"));
    std::shuffle(documents.begin(), documents.end(), random);
    std::swap(documents[0], documents[1]);
  }
}

void late(Calls& calls, Dialect, std::mt19937& random) {
  const std::string manual = long_text(6000, random);
  for (Call& call : calls) {
    const std::string before = call.messages[0].texts[0];
    call.messages[0].texts[0] = before.substr(before.rfind("Question")) + "\n\n<manual>\n" + manual + "</manual>";
  }
}

void compaction(Calls& calls, Dialect, std::mt19937&) {
  Call call = calls.back();
  std::string text;
  for (const Message& message : call.messages) {
    for (const std::string& part : message.texts) text += part + "\n\n";
    for (const auto& [id, result] : message.results) text += result + "\n\n";
  }
  call.system = {"You sum up conversations for an engineer who takes over."};
  call.tools.clear();
  call.messages = {{.texts = {"Conversation:\n" + text + "\nWrite a summary."}}};
  call.unix_ms += 15'000;
  calls.push_back(call);
}

std::string variant_line(const Call& call, size_t, unsigned form, std::mt19937&) {
  const bool b = call.conversation % 2 == 1;
  return form % 2 == 0 ? fmt::format("Prompt version: v{}", b ? 13 : 12)
         : b           ? "Offer alternatives with every refusal and keep the tone warm."
                       : "Never offer alternatives; be brief and formal.";
}

std::vector<Plant> make() {
  const auto line = [](const Call& call, size_t i, unsigned, std::mt19937&) {
    return fmt::format("x-anthropic-billing-header: cc_version=2.1.36.{:x}; cc_entrypoint=cli; cch={:05x};",
                       7 * i + call.turn, 7919 * i + 13);
  };
  const auto no_tools = [](Scene scene, Dialect dialect) {
    return scene == Scene::kAgent && dialect != Dialect::kOpenAiChat;
  };
  const auto open_ai = [](Scene scene, Dialect dialect) {
    return scene != Scene::kAgent && dialect != Dialect::kAnthropicMessages;
  };
  const auto marked_once = [](Scene scene, Dialect dialect) {
    return scene == Scene::kRetrieval && dialect == Dialect::kAnthropicMessages;
  };
  return {
      {Kind::kClock, anywhere, system_line(clock_line), "", ""},
      {Kind::kRandomId, in_agent, system_line(id_line), "", ""},
      {Kind::kWorkspaceState, in_agent, system_line(workspace_line), "", ""},
      {Kind::kUserIdentity, in_talk, system_line(user_line), "", ""},
      {Kind::kBillingHeader, anywhere,
       [line](Calls& calls, Dialect dialect, std::mt19937& random) { system_line(line)(calls, dialect, random); }, "",
       "x-anthropic-billing"},
      {Kind::kWhitespaceDrift, anywhere, whitespace, "", ""},
      {Kind::kToolOrder, in_agent, tool_order, "tools[1]", "git_log|list_dir|search_code|run_tests|write_file"},
      {Kind::kToolSet, in_agent, tool_set, "tools[", "mcp_issue_tracker"},
      {Kind::kJsonKeyOrder, in_agent, key_order, "tools[0]", ""},
      {Kind::kHistoryRespelled, in_agent, respelled, "", ""},
      {Kind::kHistoryEdited, in_agent, edited, "", ""},
      {Kind::kFrontTruncation, in_agent, truncated, "", ""},
      {Kind::kReasoningStripped, no_tools, stripped, "", ""},
      {Kind::kImageBytes, in_talk, image, "", ""},
      {Kind::kToolChoiceFlip, in_agent, on_odd_turns(choice), "tool_choice", ""},
      {Kind::kModelFlip, in_talk, on_odd_turns(other_model), "model", ""},
      {Kind::kThinkingFlip, in_talk, on_odd_turns(thinking), "", ""},
      {Kind::kProviderFlip, in_talk, on_odd_turns(other_provider), "", ""},
      {Kind::kTtlExpired, in_agent, idle, "", ""},
      {Kind::kBreakpointOnVolatile, marked_once, volatile_mark, "messages[0]", ""},
      {Kind::kLookbackExceeded, is_anthropic_agent, many_blocks, "messages", ""},
      {Kind::kBelowMinimum,
       [](Scene scene, Dialect dialect) { return scene != Scene::kAgent && dialect == Dialect::kAnthropicMessages; },
       short_mark, "system[0]", ""},
      {Kind::kFanOut, in_retrieval, at_once, "", ""},
      {Kind::kPrefixRate, open_ai, busy, "", ""},
      {Kind::kChunkOrder, in_retrieval, chunks, "", ""},
      {Kind::kLateDocument, in_retrieval, late, "", ""},
      {Kind::kCompaction, in_talk, compaction, "", ""},
      {Kind::kPromptVariants, [](Scene scene, Dialect) { return scene == Scene::kChat; }, system_line(variant_line),
       "", ""}};
}

}  // namespace

const std::vector<Plant>& plants() {
  static const std::vector<Plant> kAll = make();
  return kAll;
}

}  // namespace payonce::prefix::corpus
