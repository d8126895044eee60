// Realistic sequences of requests for the tests: clean ones, and ways to plant each breaker into them. A call is held
// apart from its dialect, so that one plant works in all three.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "llm/dialect.h"
#include "prefix/breakers/detector.h"
#include "prefix/breakers/finding.h"

namespace payonce::prefix::corpus {

namespace json = boost::json;

struct Tool {
  std::string name, description;
  json::object schema;
};

struct ToolCall {
  std::string id, name;
  json::object input;
  std::string spelled;  // arguments as text; "" = serialised
};

struct Message {
  enum class Who { kUser, kAssistant, kTool };
  Who who = Who::kUser;
  std::vector<std::string> texts;
  std::string thinking;
  std::vector<ToolCall> calls;                               // assistant
  std::vector<std::pair<std::string, std::string>> results;  // tool: call id, text
  std::string image;                                         // URL
};

struct Call {
  std::string model, session, provider;
  std::vector<Tool> tools;
  std::vector<std::string> system;
  std::vector<Message> messages;
  json::object extra;  // top-level members as they are
  int64_t unix_ms = 0, latency_ms = 1500;
  std::vector<bool> mark_system;  // Anthropic: marker on each system block; empty: on the last
  bool mark_last = true;          // … and on the last message
  size_t conversation = 0, turn = 0;
};
using Calls = std::vector<Call>;

enum class Scene { kAgent, kChat, kRetrieval };
inline constexpr Scene kScenes[] = {Scene::kAgent, Scene::kChat, Scene::kRetrieval};
inline constexpr llm::Dialect kDialects[] = {llm::Dialect::kAnthropicMessages, llm::Dialect::kOpenAiChat,
                                             llm::Dialect::kOpenAiResponses};

// A sequence without any breaker, in the order of time.
Calls clean(Scene scene, llm::Dialect dialect, std::mt19937& random);
std::string render(const Call& call, llm::Dialect dialect);
std::string long_text(size_t bytes, std::mt19937& random);

// How a kind is planted; `fits` says where it makes sense.
struct Plant {
  Kind kind;
  std::function<bool(Scene, llm::Dialect)> fits;
  std::function<void(Calls&, llm::Dialect, std::mt19937&)> apply;
  std::string path;      // what the finding's path must contain; "" = anything
  std::string at_bytes;  // what must stand at its bytes; "" = anything
};
const std::vector<Plant>& plants();

std::vector<Finding> detect(const Calls& calls, llm::Dialect dialect);

}  // namespace payonce::prefix::corpus
