#include "pipeline/semantic_stage.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/log.h"
#include "llm/answer_text.h"
#include "pipeline/savings.h"

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

std::optional<std::string> text_of(const SemanticStage::Answered& answered, const cache::Entry& entry) {
  if (answered.text_of) return answered.text_of(entry);
  auto answer = llm::answer_text(entry.dialect, entry.form, entry.body.view());
  return answer ? std::optional(std::move(answer->text)) : std::nullopt;
}

}  // namespace

struct SemanticStage::Counters {
  explicit Counters(base::Metrics& metrics)
      : faults(metrics.counter("payonce_layer_faults_total", {{"layer", "semantic"}})),
        saved(metrics, "semantic"),
        asked_again_total(metrics.counter("payonce_semantic_asked_again_total")),
        wrong_estimate(metrics.gauge("payonce_semantic_wrong_share", {{"value", "estimate"}})),
        wrong_low(metrics.gauge("payonce_semantic_wrong_share", {{"value", "low"}})),
        wrong_high(metrics.gauge("payonce_semantic_wrong_share", {{"value", "high"}})),
        wrong_bound(metrics.gauge("payonce_semantic_wrong_share", {{"value", "bound"}})),
        entries(metrics.gauge("payonce_entries", {{"layer", "semantic"}})),
        bytes(metrics.gauge("payonce_bytes", {{"layer", "semantic"}})),
        labels_equal(metrics.counter("payonce_semantic_labels_total", {{"equal", "yes"}})),
        labels_other(metrics.counter("payonce_semantic_labels_total", {{"equal", "no"}})) {}
  base::Counter faults;
  Savings saved;
  base::Counter asked_again_total;
  base::Gauge wrong_estimate, wrong_low, wrong_high, wrong_bound, entries, bytes;
  base::Counter labels_equal, labels_other;
  std::atomic<uint64_t> hits{0}, empty{0}, far{0}, conflict{0}, uncertain{0}, gone{0}, fault{0}, sampled{0};
  std::atomic<uint64_t> asked_again{0}, wrong_by_feedback{0};
};

SemanticStage::SemanticStage(Options options, embed::Embedder& embedder, semantic::SemanticCache& cache,
                             cache::ResponseStore& store, const base::Clock& clock, base::Metrics& metrics,
                             std::unique_ptr<semantic::AnswerJudge> judge)
    : options_(options),
      store_(store),
      embedder_(embedder),
      cache_(cache),
      clock_(clock),
      counters_(std::make_unique<Counters>(metrics)),
      judge_(std::move(judge)) {}
SemanticStage::~SemanticStage() = default;

AskedQuestionPtr SemanticStage::start(const Prepared& prepared, std::string context, std::string question) {
  auto out = std::make_shared<AskedQuestion>();
  out->group = std::move(context);
  out->scope = prepared.scope;
  out->question = std::move(question);
  out->started_us = clock_.monotonic_us();
  out->waited_for = break_even_.should_wait(prepared.model);
  if (!out->waited_for) counters_->sampled.fetch_add(1, std::memory_order_relaxed);
  return out;
}

void SemanticStage::look_up(AskedQuestionPtr lookup, std::function<void(std::string_view fault)> done) {
  const auto faulty = [this](std::string_view what, const base::Error& error) {
    counters_->fault.fetch_add(1, std::memory_order_relaxed);
    counters_->faults.add();
    const bool expected = error.code == base::Code::kExhausted || error.code == base::Code::kUnavailable;
    if (!expected) base::log_warn("semantic layer: {}", error.message);  // a full queue is told by the counter
    return what;
  };
  const auto shared = std::make_shared<std::function<void(std::string_view)>>(std::move(done));
  const auto finish = [lookup, shared](std::string_view fault) {
    lookup->looked_up.open();
    (*shared)(fault);
  };
  const auto queued =
      embedder_.embed(lookup->question, [this, lookup, finish, faulty](base::Result<embed::Embedding> embedding) {
        if (!embedding) return finish(faulty("semantic-fault", embedding.error()));
        // What the model has not read was not compared.
        if (embedding->truncated) return finish("semantic-too-long");
        try {
          lookup->embedding = *std::move(embedding);
          cache_.look_up(*lookup);
        } catch (const std::exception& error) {
          lookup->outcome = semantic::Outcome::kFar;
          return finish(faulty("semantic-fault", {base::Code::kInternal, error.what()}));
        }
        finish("");
      });
  if (!queued) finish(faulty("semantic-fault", queued.error()));
}

std::string SemanticStage::served(const Prepared& prepared, const AskedQuestion& lookup) {
  break_even_.looked(prepared.model, true, clock_.monotonic_us() - lookup.started_us);
  counters_->hits.fetch_add(1, std::memory_order_relaxed);
  if (lookup.ask_again) {
    counters_->asked_again.fetch_add(1, std::memory_order_relaxed);
    counters_->asked_again_total.add();
  }
  return cache_.decided(lookup, true);
}

void SemanticStage::forwarded(const Prepared& prepared, const AskedQuestion& lookup) {
  if (!lookup.read) return;  // not embedded: a fault, counted there, or too long
  const bool would_serve = lookup.outcome == semantic::Outcome::kServe;
  break_even_.looked(prepared.model, would_serve, clock_.monotonic_us() - lookup.started_us);
  (void)cache_.decided(lookup, false);
  if (!lookup.waited_for) return;
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
  try {
    take_in(fresh);
  } catch (const std::exception& error) {  // the answer is on its way whatever happens here
    counters_->faults.add();
    base::log_error("semantic layer: {}", error.what());
  }
}

void SemanticStage::take_in(const Fresh& fresh) {
  if (fresh.upstream_us >= 0) break_even_.called(fresh.prepared.model, fresh.upstream_us);
  auto answer = llm::answer_text(fresh.prepared.dialect, fresh.form, fresh.body);
  if (!answer) return;
  Answered settled{.lookup = fresh.lookup,
                   .text = std::move(answer->text),
                   // An answer that asks for something to be done is for the one who asked.
                   .key = fresh.stored && !answer->calls_tools ? fresh.prepared.key : "",
                   .expires_ms = fresh.expires_ms,
                   .was_served = fresh.was_served};
  learn(std::move(settled));
}

void SemanticStage::learn(Answered answered) {
  const AskedQuestionPtr lookup = answered.lookup;
  lookup->looked_up.when_open([this, answered = std::move(answered)] { add(answered); });
}

void SemanticStage::add(const Answered& settled) {
  const semantic::Lookup& lookup = *settled.lookup;
  if (!lookup.read) return;  // it was not embedded
  const base::Hash128 digest =
      digest_of(options_.compare == Compare::kExact ? settled.text : llm::normalised_text(settled.text));
  if (!settled.key.empty())
    cache_.insert(lookup, {.key = settled.key, .digest = digest, .expires_ms = settled.expires_ms});
  if (lookup.candidates.empty()) return;
  const semantic::Candidate& candidate = lookup.candidates.front();
  const bool equal = candidate.answer == digest;
  if (!equal && options_.compare >= Compare::kEmbedding)
    if (const cache::EntryPtr entry = store_.find(candidate.key).entry) {
      auto other = text_of(settled, *entry);
      if (other && judge_) return ask_judge(settled, *other);
      if (other && comparable(settled.text, *other)) return compare(settled, *std::move(other));
    }
  label(settled, equal);
}

void SemanticStage::label(const Answered& settled, bool equal) {
  (equal ? counters_->labels_equal : counters_->labels_other).add();
  cache_.label(*settled.lookup, settled.key, equal, settled.was_served);
}

// One after the other through the embedder; where it has no place for them there is no label.
void SemanticStage::compare(const Answered& settled, std::string other) {
  (void)embedder_.embed(settled.text,
                        [this, settled, other = std::move(other)](base::Result<embed::Embedding> first) {
                          if (!first) return;
                          const auto one = std::make_shared<embed::Embedding>(*std::move(first));
                          (void)embedder_.embed(other, [this, settled, one](base::Result<embed::Embedding> second) {
                            if (second) label(settled, cosine(*one, *second) >= options_.equal_cosine);
                          });
                        });
}

void SemanticStage::ask_judge(const Answered& settled, const std::string& other) {
  (void)judge_->ask(settled.lookup->question, settled.text, other, [this, settled](std::optional<bool> same) {
    if (same) label(settled, *same);
  });
}

void SemanticStage::count_saved(const llm::Usage& usage, double cost_usd) { counters_->saved.add(usage, cost_usd); }

bool SemanticStage::feedback_wrong(const std::string& hit, std::string_view scope) {
  if (!cache_.feedback_wrong(hit, scope)) return false;
  counters_->wrong_by_feedback.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void SemanticStage::show() const {
  const semantic::SemanticCache::Stats cache = cache_.stats();
  const semantic::Tally::WrongRate wrong = cache.tally.wrong_rate();
  counters_->wrong_estimate.set(wrong.estimate);
  counters_->wrong_low.set(wrong.low);
  counters_->wrong_high.set(wrong.high);
  counters_->wrong_bound.set(cache_.error_bound());
  counters_->entries.set(static_cast<double>(cache.entries));
  counters_->bytes.set(static_cast<double>(cache.bytes));
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
            .saved_input_tokens = c.saved.input_tokens(),
            .saved_output_tokens = c.saved.output_tokens(),
            .saved_usd = c.saved.usd(),
            .sampling = break_even_.sampling()};
  out.misses = out.empty + out.far + out.conflict + out.uncertain + out.gone + out.fault + out.sampled;
  return out;
}

}  // namespace payonce::pipeline
