// Batch files of OpenAI and Anthropic. Input lines have a custom_id and a body (or params), output lines a custom_id
// and a response (or result). The two are joined by custom_id, in the order in which they come where ids repeat.
#include <unordered_map>
#include <vector>

#include "history/body.h"
#include "history/readers.h"

namespace payonce::history {
namespace {

class Batch : public Reader {
 public:
  using Reader::Reader;

  void record(const Json& row, uint64_t line) override {
    Arena& arena = sink_.arena();
    const std::string_view id = row["custom_id"].text(arena);
    if (id.empty()) return sink_.skip(line, "no custom_id in it: not a line of a batch");
    Pair& pair = pairs_[id];
    Call call;
    call.format = Format::kBatch;
    call.line = line;
    call.file = sink_.file();
    call.id = id;
    call.batch = true;
    if (const Json body = row.first({"body", "params"}); body.is_object()) {
      call.dialect = row["params"] ? llm::Dialect::kAnthropicMessages : dialect_of_path(row["url"].text(arena));
      set_request(call, body, arena);
      pair.inputs.push_back(call);
      order_.push_back(id);
      return;
    }
    const Json result = row["result"];
    if (result && result["type"].word() != "succeeded" && result["type"].word() != "errored")
      return sink_.ignore(result["type"].word());  // canceled, expired: not asked
    pair.outputs.push_back({call, result ? result["message"].raw() : row["response"]["body"].raw(),
                            static_cast<int>(row["response"]["status_code"].integer(200)), bool(result)});
    if (result["type"].word() == "errored" || (row["error"] && !row["response"])) pair.outputs.back().status = 500;
    order_.push_back(id);
  }

  void finish() override {
    for (const std::string_view id : order_) {
      Pair& pair = pairs_[id];
      for (size_t i = 0; i < std::max(pair.inputs.size(), pair.outputs.size()); ++i)
        add(i < pair.inputs.size() ? pair.inputs[i] : pair.outputs[i].call,
            i < pair.outputs.size() ? &pair.outputs[i] : nullptr);
      pair = {};
    }
  }

 private:
  struct Output {
    Call call;
    std::string_view body;
    int status = 200;
    bool anthropic = false;
  };
  struct Pair {
    std::vector<Call> inputs;
    std::vector<Output> outputs;
  };

  void add(Call call, const Output* output) {
    std::string key(call.id);
    if (output != nullptr) {
      call.status = output->status;
      const Embedded body(output->body);
      if (call.dialect == llm::Dialect::kOther && output->anthropic) call.dialect = llm::Dialect::kAnthropicMessages;
      if (call.dialect == llm::Dialect::kOther && body.json()["choices"]) call.dialect = llm::Dialect::kOpenAiChat;
      if (body.json().is_object()) set_response(call, body.json(), sink_.arena());
      call.at_ms = body.json().first({"created", "created_at"}).time_ms();
      key.append("/").append(body.json()["id"].word());
    } else {
      key.append("/").append(call.request);  // the same id in another batch may be another request
    }
    sink_.add_as_is(call, key);
  }

  std::unordered_map<std::string_view, Pair> pairs_;
  std::vector<std::string_view> order_;
};

}  // namespace

bool claims_batch(const Json& value) {
  return value["custom_id"] &&
         (value["body"].is_object() || value["params"].is_object() || value["result"].is_object() ||
          value["response"].is_object() || value["error"].is_object());
}

std::unique_ptr<Reader> make_batch(Sink& sink) { return std::make_unique<Batch>(sink); }

}  // namespace payonce::history
