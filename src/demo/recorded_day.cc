#include "demo/recorded_day.h"

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <memory>
#include <random>

#include "audit/sent_prompt.h"
#include "prompt_cache/simulator.h"

namespace payonce::demo {
namespace {

namespace json = boost::json;

constexpr double kBytesPerToken = 4;
constexpr double kAgentFixed_ms = 900, kAgentComputed_ms = 0.1, kAgentOutput_ms = 12;
constexpr double kAssumedWarm_ms = 700, kAssumedCold_ms = 900;

class Recorder {
 public:
  Recorder(const Sample& sample, uint64_t seed) : sample_(sample), dice_(seed) {}

  std::string line(const Asked& asked) {
    const bool agent = asked.topic == SIZE_MAX;
    const std::string& answer = agent ? asked.answer : sample_.topics[asked.topic].answer;
    const int64_t output = agent ? static_cast<int64_t>(static_cast<double>(answer.size()) / kBytesPerToken) + 1
                                 : sample_.topics[asked.topic].output_tokens;
    const llm::Usage usage = billed(asked, agent, output);
    const double ms = agent ? kAgentFixed_ms + kAgentComputed_ms * static_cast<double>(usage.fresh) +
                                  kAgentOutput_ms * static_cast<double>(output)
                            : sample_.topics[asked.topic].ms + (usage.read == 0 ? sample_.cold_ms : 0);
    const double spread = std::uniform_real_distribution<double>(0.85, 1.25)(dice_);
    json::object row{{"timestamp", static_cast<double>(asked.at_ms) / 1000},
                     {"latency_ms", static_cast<int64_t>(ms * spread)},
                     {"path", asked.path},
                     {"session", asked.session},
                     {"user", asked.user},
                     {"request", json::parse(asked.request)},
                     {"response", agent ? message(answer, usage) : completion(answer, usage)}};
    return json::serialize(row) + "\n";
  }

 private:
  llm::Usage billed(const Asked& asked, bool agent, int64_t output) {
    const auto dialect = llm::classify("POST", asked.path);
    const auto& provider = *prompt_cache::Providers::built_in().detect(
        "http://localhost", agent ? kAgentModel : kAssistantModel,
        agent ? prompt_cache::Wire::kAnthropic : prompt_cache::Wire::kOpenAi);
    auto& simulator = simulators_[provider.id];
    if (!simulator) simulator = std::make_unique<prompt_cache::Simulator>(provider);
    const auto request = llm::parse_request(dialect, base::Bytes::unowned(asked.request));
    if (!request) return {};
    const audit::SentPrompt sent = audit::read_sent(*request, provider, hash_);
    prompt_cache::SimRequest simulated = audit::sim_request(sent);
    simulated.at_ms = asked.at_ms;
    simulated.readable_ms = asked.at_ms + 500;
    simulated.done_ms = asked.at_ms + 1000;
    simulated.model = request->model;
    simulated.account = asked.user;
    simulated.output_tokens = output;
    const auto result = simulator->run(simulated);
    return result ? result->usage() : llm::Usage{};
  }

  json::object completion(const std::string& answer, const llm::Usage& usage) {
    return {{"id", "chatcmpl-" + std::to_string(++answers_)},
            {"object", "chat.completion"},
            {"model", kAssistantModel},
            {"choices", json::array{json::object{{"index", 0},
                                                 {"finish_reason", "stop"},
                                                 {"message", {{"role", "assistant"}, {"content", answer}}}}}},
            {"usage",
             {{"prompt_tokens", usage.input()},
              {"completion_tokens", usage.output},
              {"total_tokens", usage.input() + usage.output},
              {"prompt_tokens_details", {{"cached_tokens", usage.read}}}}}};
  }
  json::object message(const std::string& answer, const llm::Usage& usage) {
    return {{"id", "msg_" + std::to_string(++answers_)},
            {"type", "message"},
            {"role", "assistant"},
            {"model", kAgentModel},
            {"stop_reason", "end_turn"},
            {"content", json::array{json::object{{"type", "text"}, {"text", answer}}}},
            {"usage",
             {{"input_tokens", usage.fresh},
              {"output_tokens", usage.output},
              {"cache_read_input_tokens", usage.read},
              {"cache_creation_input_tokens", usage.write_short}}}};
  }

  const Sample& sample_;
  const base::KeyedHash hash_{"demo"};
  std::map<std::string, std::unique_ptr<prompt_cache::Simulator>> simulators_;
  std::mt19937_64 dice_;
  uint64_t answers_ = 0;
};

}  // namespace

Sample assumed_sample(const std::vector<Topic>& topics) {
  Sample out{.topics = {}, .cold_ms = kAssumedCold_ms};
  for (const Topic& topic : topics)
    out.topics.push_back(
        {.answer = topic.says,
         .output_tokens = static_cast<int64_t>(static_cast<double>(topic.says.size()) / kBytesPerToken),
         .ms = kAssumedWarm_ms});
  return out;
}

std::string as_log(const std::vector<Asked>& day, const Sample& sample, uint64_t seed) {
  Recorder recorder(sample, seed);
  std::string out;
  for (const Asked& asked : day) out += recorder.line(asked);
  return out;
}

}  // namespace payonce::demo
