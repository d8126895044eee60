#include "demo/day.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cmath>
#include <random>

namespace payonce::demo {

std::string_view questions_text();  // generated from data/questions.txt

namespace {

namespace json = boost::json;

constexpr int64_t kMinute_ms = 60'000;
constexpr std::array<std::string_view, 8> kStaff = {"Amal", "Bea", "Chen", "Dora", "Emre", "Fay", "Gil", "Hana"};
// Requests an hour, relative: nights are quiet.
constexpr std::array<double, 24> kHours = {1, 1,  1,  1,  1,  2, 5, 9, 12, 13, 12, 11,
                                           9, 11, 12, 12, 11, 9, 7, 5, 4,  3,  2,  1};
constexpr double kSuggested = 0.35;  // share of questions that are clicked, word for word
constexpr double kLoggedIn = 0.15;   // share that comes with the time and a name in front of the prompt
constexpr std::array<std::string_view, 4> kOpenings = {"", "Hi, ", "Quick question: ", "Hello! "};

class Planner {
 public:
  Planner(const Day& day, const std::vector<Topic>& topics)
      : day_(day), topics_(topics), dice_(day.seed), hours_(kHours.begin(), kHours.end()) {
    for (size_t rank = 0; rank < topics.size(); ++rank) popular_.push_back(1.0 / static_cast<double>(rank + 1));
  }

  std::vector<Asked> run() {
    for (size_t i = 0; i < day_.questions; ++i) question(i);
    for (size_t i = 0; i < day_.agent_sessions; ++i) agent(i);
    std::stable_sort(out_.begin(), out_.end(), [](const Asked& a, const Asked& b) { return a.at_ms < b.at_ms; });
    return std::move(out_);
  }

 private:
  double chance() { return std::uniform_real_distribution<double>(0, 1)(dice_); }
  size_t below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(dice_); }

  int64_t some_time() {
    const size_t hour = std::discrete_distribution<size_t>(hours_.begin(), hours_.end())(dice_);
    return day_.begins_ms + static_cast<int64_t>((static_cast<double>(hour) + chance()) * 60 * kMinute_ms);
  }

  void question(size_t number) {
    Asked asked;
    asked.at_ms = some_time();
    asked.session = fmt::format("question-{:04}", number);
    asked.user = "assistant";  // one application, one key
    asked.path = "/v1/chat/completions";
    asked.topic = std::discrete_distribution<size_t>(popular_.begin(), popular_.end())(dice_);
    const std::vector<std::string>& words = topics_[asked.topic].questions;
    const bool clicked = chance() < kSuggested;
    const std::string text =
        clicked ? words[0] : std::string(kOpenings[below(kOpenings.size())]) + words[below(words.size())];
    std::string front;
    if (chance() < kLoggedIn) {
      const auto time = std::chrono::floor<std::chrono::seconds>(
          std::chrono::sys_time<std::chrono::milliseconds>(std::chrono::milliseconds(asked.at_ms)));
      front = fmt::format("Current time: {:%Y-%m-%d %H:%M:%S}\nEmployee: {}\n", time, kStaff[below(kStaff.size())]);
    }
    asked.request = assistant_request(topics_, text, front);
    out_.push_back(std::move(asked));
  }

  // A report written step by step: the history grows, nothing is marked for the provider's cache, and the tools come
  // in the order of a hash table, another one after each restart.
  void agent(size_t number) {
    int64_t at_ms = some_time();
    json::array messages{
        json::object{{"role", "user"},
                     {"content", fmt::format("Write the occupancy report of house {} for the board.", number + 1)}}};
    const size_t steps = 8 + below(8);
    for (size_t step = 0; step < steps; ++step) {
      Asked asked;
      asked.at_ms = at_ms;
      asked.session = fmt::format("report-{:02}", number);
      asked.user = "reports";
      asked.path = "/v1/messages";
      asked.answer =
          fmt::format("Step {}: the figures of week {} are in; next is week {}.", step + 1, step + 1, step + 2);
      asked.request = json::serialize(json::object{{"model", kAgentModel},
                                                   {"max_tokens", 400},
                                                   {"temperature", 0},
                                                   {"tools", tools(number + (step / 6))},
                                                   {"system", agent_prompt()},
                                                   {"messages", messages}});
      messages.push_back(json::object{{"role", "assistant"}, {"content", asked.answer}});
      messages.push_back(json::object{{"role", "user"}, {"content", figures(step)}});
      out_.push_back(std::move(asked));
      at_ms += static_cast<int64_t>((8 + 50 * chance()) * 1000);
    }
  }

  static json::array tools(size_t turn) {
    std::vector<json::value> all;
    for (const std::string_view name :
         {"read_table", "write_section", "draw_chart", "search_mail", "ask_colleague", "export_pdf"})
      all.push_back(json::object{
          {"name", name},
          {"description", fmt::format("{}: see the handbook of the reporting system, chapter '{}', for what it takes "
                                      "and returns, and for the cases in which it must not be used.",
                                      name, name)},
          {"input_schema",
           json::object{{"type", "object"},
                        {"properties", json::object{{"target", json::object{{"type", "string"}}}}}}}});
    std::mt19937_64 order(turn % 3);
    std::shuffle(all.begin(), all.end(), order);
    return json::array(all.begin(), all.end());
  }

  static std::string agent_prompt() {
    std::string out = "You write reports for the board of a hotel group, from tables alone.\n";
    for (int rule = 1; rule <= 120; ++rule)
      out +=
          fmt::format("Rule {}: figures of chapter {} are rounded to {} places and compared with the year before.\n",
                      rule, rule % 17 + 1, rule % 3);
    return out;
  }

  std::string figures(size_t week) {
    std::string out = fmt::format("Week {}:\n", week + 1);
    for (int row = 0; row < 24; ++row)
      out += fmt::format("room class {:02} | nights {:4} | rate {:6.2f} | sold {:3}\n", row, below(1000),
                         60 + 200 * chance(), below(200));
    return out;
  }

  const Day& day_;
  const std::vector<Topic>& topics_;
  std::mt19937_64 dice_;
  std::vector<double> hours_, popular_;
  std::vector<Asked> out_;
};

}  // namespace

std::vector<Topic> topics() {
  std::vector<Topic> out;
  std::string_view text = questions_text();
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line.starts_with('#')) continue;
    if (line.starts_with("= "))
      out.push_back({.page = std::string(line.substr(2)), .says = "", .questions = {}});
    else if (out.back().says.empty())
      out.back().says = line;
    else
      out.back().questions.emplace_back(line);
  }
  return out;
}

std::string assistant_request(const std::vector<Topic>& topics, std::string_view question, std::string_view front) {
  std::string system(front);
  system +=
      "You are the assistant of a hotel group's staff. Answer in one sentence, from the handbook alone.\n# "
      "Handbook\n";
  for (const Topic& topic : topics) {
    system += fmt::format("## {}\n{}\n", topic.page, topic.says);
    for (size_t i = 0; i < 3; ++i) system += fmt::format("- {}\n", topic.questions[i]);
  }
  return json::serialize(
      json::object{{"model", kAssistantModel},
                   {"temperature", 0},
                   {"max_tokens", 48},
                   {"messages", json::array{json::object{{"role", "system"}, {"content", system}},
                                            json::object{{"role", "user"}, {"content", question}}}}});
}

std::vector<Asked> plan(const Day& day, const std::vector<Topic>& topics) { return Planner(day, topics).run(); }

}  // namespace payonce::demo
