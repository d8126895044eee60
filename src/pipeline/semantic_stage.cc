#include "pipeline/semantic_stage.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/log.h"
#include "llm/answer_text.h"

namespace payonce::pipeline {
namespace {

constexpr size_t kProseWords = 8;  // shorter answers are labels, numbers, names: equal or not

base::Hash128 digest_of(std::string_view text) {
  const base::Digest whole = base::sha256(text);
  base::Hash128 out;
  std::memcpy(&out, whole.data(), sizeof out);
  return out;
}

std::vector<std::string_view> words_of(std::string_view normalised) {
  std::vector<std::string_view> out;
  for (size_t begin = 0; begin < normalised.size();) {
    const size_t end = std::min(normalised.find(' ', begin), normalised.size());
    out.push_back(normalised.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

std::vector<std::string_view> numbers_of(const std::vector<std::string_view>& words) {
  std::vector<std::string_view> out;
  std::copy_if(words.begin(), words.end(), std::back_inserter(out),
               [](std::string_view word) { return word.find_first_of("0123456789") != std::string_view::npos; });
  std::sort(out.begin(), out.end());
  return out;
}

// Two prose texts that may say the same in other words.
bool comparable(std::string_view a, std::string_view b) {
  const std::string one = llm::normalised_text(a), other = llm::normalised_text(b);
  const auto words = words_of(one), others = words_of(other);
  return words.size() >= kProseWords && others.size() >= kProseWords && numbers_of(words) == numbers_of(others);
}

double cosine(const embed::Embedding& a, const embed::Embedding& b) {
  double sum = 0;
  for (size_t i = 0; i < std::min(a.vector.size(), b.vector.size()); ++i)
    sum += static_cast<double>(a.vector[i]) * static_cast<double>(b.vector[i]);
  return sum;
}

}  // namespace

struct SemanticStage::Counters {
  explicit Counters(base::Metrics& metrics)
      : faults(metrics.counter("payonce_layer_faults_total", {{"layer", "semantic"}})),
        saved_usd(metrics.counter("payonce_saved_usd_total", {{"layer", "semantic"}})),
        saved_tokens(metrics.counter("payonce_saved_tokens_total", {{"layer", "semantic"}})),
        asked_again_total(metrics.counter("payonce_semantic_asked_again_total")),
        labels_equal(metrics.counter("payonce_semantic_labels_total", {{"equal", "yes"}})),
        labels_other(metrics.counter("payonce_semantic_labels_total", {{"equal", "no"}})) {}
  base::Counter faults, saved_usd, saved_tokens, asked_again_total, labels_equal, labels_other;
  std::atomic<uint64_t> hits{0}, empty{0}, far{0}, conflict{0}, uncertain{0}, gone{0}, fault{0}, sampled{0};
  std::atomic<uint64_t> asked_again{0}, wrong_by_feedback{0}, saved_input{0}, saved_output{0};
};

SemanticStage::SemanticStage(Options options, embed::Embedder& embedder, semantic::SemanticCache& cache,
                             const base::Clock& clock, base::Metrics& metrics)
    : options_(options),
      embedder_(embedder),
      cache_(cache),
      clock_(clock),
      counters_(std::make_unique<Counters>(metrics)) {}
SemanticStage::~SemanticStage() = default;

semantic::LookupPtr SemanticStage::start(const Prepared& prepared, std::string context, std::string question,
                                         std::string_view& why) {
  if (!break_even_.should_look(prepared.model)) {
    counters_->sampled.fetch_add(1, std::memory_order_relaxed);
    why = "semantic-sampling";
    return nullptr;
  }
  auto out = std::make_shared<semantic::Lookup>();
  out->group = std::move(context);
  out->scope = prepared.scope;
  out->question = std::move(question);
  out->started_us = clock_.monotonic_us();
  return out;
}

void SemanticStage::look_up(semantic::LookupPtr lookup, std::function<void(std::string_view fault)> done) {
  const auto faulty = [this](std::string_view what, const base::Error& error) {
    counters_->fault.fetch_add(1, std::memory_order_relaxed);
    counters_->faults.add();
    base::log_warn("semantic layer: {}", error.message);
    return what;
  };
  const auto shared = std::make_shared<std::function<void(std::string_view)>>(std::move(done));
  const auto queued =
      embedder_.embed(lookup->question, [this, lookup, shared, faulty](base::Result<embed::Embedding> embedding) {
        if (!embedding) return (*shared)(faulty("semantic-fault", embedding.error()));
        // What the model has not read was not compared.
        if (embedding->truncated) return (*shared)("semantic-too-long");
        try {
          lookup->embedding = *std::move(embedding);
          cache_.look_up(*lookup);
        } catch (const std::exception& error) {
          lookup->outcome = semantic::Outcome::kFar;
          return (*shared)(faulty("semantic-fault", {base::Code::kInternal, error.what()}));
        }
        (*shared)("");
      });
  if (!queued) (*shared)(faulty("semantic-fault", queued.error()));
}

std::string SemanticStage::served(const Prepared& prepared, const semantic::Lookup& lookup) {
  break_even_.looked(prepared.model, true, clock_.monotonic_us() - lookup.started_us);
  counters_->hits.fetch_add(1, std::memory_order_relaxed);
  if (lookup.ask_again) {
    counters_->asked_again.fetch_add(1, std::memory_order_relaxed);
    counters_->asked_again_total.add();
  }
  return cache_.decided(lookup, true);
}

void SemanticStage::forwarded(const Prepared& prepared, const semantic::Lookup& lookup) {
  break_even_.looked(prepared.model, false, clock_.monotonic_us() - lookup.started_us);
  (void)cache_.decided(lookup, false);
  std::atomic<uint64_t>* counter = &counters_->gone;  // it was to be served
  switch (lookup.outcome) {
    case semantic::Outcome::kServe: break;
    case semantic::Outcome::kEmpty: counter = &counters_->empty; break;
    case semantic::Outcome::kFar: counter = &counters_->far; break;
    case semantic::Outcome::kConflict: counter = &counters_->conflict; break;
    case semantic::Outcome::kUncertain: counter = &counters_->uncertain; break;
  }
  counter->fetch_add(1, std::memory_order_relaxed);
}

void SemanticStage::settle(const Fresh& fresh) {
  const semantic::Lookup& lookup = *fresh.lookup;
  if (fresh.upstream_us >= 0) break_even_.called(fresh.prepared.model, fresh.upstream_us);
  if (!lookup.read) return;  // it was not embedded
  auto answer = llm::answer_text(fresh.prepared.dialect, fresh.form, fresh.body);
  if (!answer) return;
  const base::Hash128 digest =
      digest_of(options_.compare == Compare::kExact ? answer->text : llm::normalised_text(answer->text));
  // An answer that asks for something to be done is for the one who asked.
  const bool insert = fresh.stored && !answer->calls_tools;
  if (insert) cache_.insert(lookup, {.key = fresh.prepared.key, .digest = digest, .expires_ms = fresh.expires_ms});
  if (lookup.candidates.empty()) return;
  const std::string key = insert ? fresh.prepared.key : "";
  const bool equal = lookup.candidates.front().answer == digest;
  if (!equal && options_.compare == Compare::kEmbedding && fresh.candidate) {
    auto other = llm::answer_text(fresh.candidate->dialect, fresh.candidate->form, fresh.candidate->body.view());
    if (other && comparable(answer->text, other->text))
      return compare(fresh, key, std::move(answer->text), std::move(other->text));
  }
  label(lookup, key, equal, fresh.was_served);
}

void SemanticStage::label(const semantic::Lookup& lookup, const std::string& key, bool equal, bool served) {
  (equal ? counters_->labels_equal : counters_->labels_other).add();
  cache_.label(lookup, key, equal, served);
}

// One after the other through the embedder; where it has no place for them there is no label.
void SemanticStage::compare(const Fresh& fresh, const std::string& key, std::string answer, std::string other) {
  (void)embedder_.embed(std::move(answer), [this, lookup = fresh.lookup, key, served = fresh.was_served,
                                            other = std::move(other)](base::Result<embed::Embedding> first) mutable {
    if (!first) return;
    const auto one = std::make_shared<embed::Embedding>(*std::move(first));
    (void)embedder_.embed(std::move(other), [this, lookup, key, served, one](base::Result<embed::Embedding> second) {
      if (second) label(*lookup, key, cosine(*one, *second) >= options_.equal_cosine, served);
    });
  });
}

void SemanticStage::count_saved(const llm::Usage& usage, double cost_usd) {
  counters_->saved_usd.add(cost_usd);
  counters_->saved_tokens.add(static_cast<double>(usage.input() + usage.output));
  counters_->saved_input.fetch_add(static_cast<uint64_t>(usage.input()), std::memory_order_relaxed);
  counters_->saved_output.fetch_add(static_cast<uint64_t>(usage.output), std::memory_order_relaxed);
}

bool SemanticStage::feedback_wrong(const std::string& hit, std::string_view scope) {
  if (!cache_.feedback_wrong(hit, scope)) return false;
  counters_->wrong_by_feedback.fetch_add(1, std::memory_order_relaxed);
  return true;
}

SemanticStage::Stats SemanticStage::stats() const {
  const Counters& c = *counters_;
  Stats out{.hits = c.hits,
            .empty = c.empty,
            .far = c.far,
            .conflict = c.conflict,
            .uncertain = c.uncertain,
            .gone = c.gone,
            .fault = c.fault,
            .sampled = c.sampled,
            .asked_again = c.asked_again,
            .wrong_by_feedback = c.wrong_by_feedback,
            .saved_input_tokens = c.saved_input,
            .saved_output_tokens = c.saved_output,
            .saved_usd = c.saved_usd.value(),
            .sampling = break_even_.sampling()};
  out.misses = out.empty + out.far + out.conflict + out.uncertain + out.gone + out.fault + out.sampled;
  return out;
}

}  // namespace payonce::pipeline
