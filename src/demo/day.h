// A realistic day of a company that uses models: staff ask an internal assistant (the same things in many words), and
// agents write reports with tools. Requests only; what they cost and how long they took is not known here.
// Threads: pure functions.  Equal seeds give equal days.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace payonce::demo {

struct Topic {
  std::string page;                    // of the handbook
  std::string says;                    // what it says
  std::vector<std::string> questions;  // the same in different words
};
std::vector<Topic> topics();  // of data/questions.txt

struct Asked {
  int64_t at_ms = 0;
  std::string session, user;
  std::string path;         // "/v1/chat/completions", "/v1/messages"
  std::string request;      // body
  size_t topic = SIZE_MAX;  // of a question; SIZE_MAX: a step of an agent
  std::string answer;       // of a step of an agent
};

struct Day {
  uint64_t seed = 1;
  int64_t begins_ms = 0;  // midnight UTC
  size_t questions = 900;
  size_t agent_sessions = 10;
};

inline constexpr std::string_view kAssistantModel = "gpt-4.1-mini";
inline constexpr std::string_view kAgentModel = "claude-sonnet-4-5";

// By time.
std::vector<Asked> plan(const Day& day, const std::vector<Topic>& topics);
// The assistant's request for one question, as the plan has it, from nobody in particular.
std::string assistant_request(const std::vector<Topic>& topics, std::string_view question,
                              std::string_view front = "");

}  // namespace payonce::demo
