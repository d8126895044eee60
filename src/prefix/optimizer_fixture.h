// Requests for the tests of this module: an agent's session, in any spelling.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "llm/json_edit.h"
#include "llm/request.h"
#include "prefix/optimizer.h"

namespace payonce::prefix::fixture {

inline std::string rules_text(int lines) {
  std::string out = "You are a careful engineer.\n";
  for (int i = 0; i < lines; ++i) out += fmt::format("Rule {}: keep code as it is indented, whatever it is.\n", i);
  return out;
}

// Other white space and order of members, the same values.
class Respeller {
 public:
  explicit Respeller(uint32_t seed) : random_(seed) {}
  std::string operator()(std::string_view json) {
    const auto tape = llm::Tape::parse(json);
    std::string out;
    write(*tape, json, 0, out);
    return out;
  }

 private:
  void space(std::string& out) { out.append(random_() % 3, " \n\t"[random_() % 3]); }
  void write(const llm::Tape& tape, std::string_view json, uint32_t node, std::string& out) {
    const llm::JsonNode& at = tape[node];
    if (at.type == llm::JsonType::kArray) {
      out += '[';
      uint32_t child = node + 1;
      for (uint32_t i = 0; i < at.children; ++i, child = tape[child].next) {
        if (i > 0) out += ',';
        space(out);
        write(tape, json, child, out);
      }
      out += ']';
    } else if (at.type == llm::JsonType::kObject) {
      std::vector<uint32_t> names;
      for (uint32_t i = 0, child = node + 1; i < at.children; ++i, child = tape[child + 1].next)
        names.push_back(child);
      std::shuffle(names.begin(), names.end(), random_);
      out += '{';
      for (size_t i = 0; i < names.size(); ++i) {
        if (i > 0) out += ',';
        space(out);
        string(tape.decoded(json, names[i]), out);
        out += ':';
        write(tape, json, names[i] + 1, out);
      }
      out += '}';
    } else if (at.type == llm::JsonType::kString) {
      string(tape.decoded(json, node), out);
    } else {
      out += tape.raw(json, node);
    }
  }
  void string(const std::string& text, std::string& out) {
    out += '"';
    for (const char c : text) {
      if (c >= 'a' && c <= 'z' && random_() % 16 == 0)
        out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
      else
        out += plain(c);
    }
    out += '"';
  }
  static std::string plain(char c) {
    std::string quoted = llm::json_string(std::string_view(&c, 1));
    return quoted.substr(1, quoted.size() - 2);
  }

  std::minstd_rand random_;
};

struct Session {
  std::string system = rules_text(80);
  std::vector<std::string> tools = {"read", "write", "grep"};
  std::string model = "claude-sonnet-4-6";

  std::string tool(const std::string& name) const {
    return fmt::format(R"({{"name":"{}","description":"{} a file","input_schema":{{"type":"object","properties":)"
                       R"({{"path":{{"type":"string"}},"line":{{"type":"number"}}}}}}}})",
                       name, name);
  }
  // The `turns`-th request of an agent's session: every earlier question was answered with a tool's call.
  std::string body(int turns, std::string_view more = "") const {
    std::string list, messages;
    for (const std::string& name : tools) list += (list.empty() ? "" : ",") + tool(name);
    for (int i = 0; i < turns; ++i) {
      if (i > 0) messages += ',';
      messages += fmt::format(R"({{"role":"user","content":"question {}: def f(x):\n    return  {}"}})", i, i);
      if (i + 1 == turns) break;
      messages += fmt::format(
          R"(,{{"role":"assistant","content":[{{"type":"text","text":"answer {}"}},{{"type":"tool_use","id":"t{}",)"
          R"("name":"read","input":{{"path":"a.py","line":{}}}}}]}},{{"role":"user","content":[)"
          R"({{"type":"tool_result","tool_use_id":"t{}","content":"\tif x:\n\t\treturn 1"}}]}})",
          i, i, i, i);
    }
    return fmt::format(R"({{"model":"{}","max_tokens":9,"system":{},"tools":[{}],"messages":[{}]{}}})", model,
                       llm::json_string(system), list, messages, more);
  }
};

}  // namespace payonce::prefix::fixture
