#include "engine/model/grammar.h"

#include <fmt/format.h>
#include <llama.h>

#include <charconv>
#include <cmath>
#include <exception>
#include <limits>
#include <regex>

#include "engine/model/json_depth.h"
#include "engine/model/library_log.h"
#include "engine/model/token_tree.h"

namespace payonce::engine {

namespace {

constexpr size_t kMaxGrammarBytes = 4 << 20;
constexpr int kMaxGrammarDepth = 512;

struct SamplerDeleter {
  void operator()(llama_sampler* sampler) const { llama_sampler_free(sampler); }
};
using Sampler = std::unique_ptr<llama_sampler, SamplerDeleter>;

class LlamaGrammar final : public Grammar {
 public:
  // `by_token`: the grammar names tokens as such, so what it says about a token says nothing about longer ones.
  LlamaGrammar(const Vocab& vocab, const TokenTree& tree, Sampler sampler, bool by_token)
      : vocab_(vocab), tree_(&tree), sampler_(std::move(sampler)), by_token_(by_token) {}

  std::unique_ptr<Grammar> clone() const override {
    auto copy =
        std::make_unique<LlamaGrammar>(vocab_, *tree_, Sampler(llama_sampler_clone(sampler_.get())), by_token_);
    copy->broken_ = broken_;
    return copy;
  }

  void mask(std::span<float> logits) override {
    // A lazy grammar that waits for its trigger allows even what none allows.
    if (broken_ || (tree_->never >= 0 && allows(tree_->never))) return;
    // Level by level: a token may come next only if the token that is its beginning may.
    std::vector<bool> allowed(tree_->tokens.size(), false);
    std::vector<llama_token_data> asked;
    for (const auto& [first, last] : tree_->levels) {
      asked.clear();
      const auto worth_asking = [&](size_t i) {
        const int32_t parent = tree_->tokens[i].parent;
        return by_token_ || parent < 0 || allowed[static_cast<size_t>(parent)];
      };
      for (size_t i = first; i < last; ++i) {
        if (worth_asking(i)) asked.push_back({tree_->tokens[i].token, 0, 0});
      }
      ask(asked);
      size_t answer = 0;
      for (size_t i = first; i < last; ++i) {
        allowed[i] = worth_asking(i) && !std::isinf(asked[answer++].logit);
      }
    }
    for (size_t i = 0; i < tree_->tokens.size(); ++i) {
      const auto token = static_cast<size_t>(tree_->tokens[i].token);
      if (!allowed[i] && token < logits.size()) logits[token] = -std::numeric_limits<float>::infinity();
    }
  }

  bool allows(int32_t token) override {
    if (broken_) return true;
    if (token < 0 || token >= vocab_.size()) return false;
    std::vector<llama_token_data> one = {{token, 0, 0}};
    ask(one);
    return !std::isinf(one[0].logit);
  }

  void accept(int32_t token) override {
    // The library ends the process on an end token that may not come, and throws on others.
    if (broken_ || !allows(token)) return;
    try {
      llama_sampler_accept(sampler_.get(), token);
    } catch (const std::exception&) {
      // A lazy grammar's trigger was found, and what stands behind it does not fit: the answer goes on as free text.
      broken_ = true;
    }
  }

 private:
  void ask(std::vector<llama_token_data>& tokens) {
    if (tokens.empty()) return;
    llama_token_data_array list{tokens.data(), tokens.size(), /*selected=*/-1, /*sorted=*/false};
    llama_sampler_apply(sampler_.get(), &list);
  }

  const Vocab& vocab_;
  const TokenTree* tree_;
  Sampler sampler_;
  bool by_token_;
  bool broken_ = false;
};

// What stands in a GBNF text outside of literals, character classes, tokens and comments, without white space.
struct Outline {
  std::string text;
  bool names_tokens = false;  // it may hold a token element, such as <think> or <[123]>
};

Outline outline_of(const std::string& gbnf) {
  Outline out;
  char end = 0;  // of what we are within
  for (size_t i = 0; i < gbnf.size(); ++i) {
    const char c = gbnf[i];
    if (end != 0) {
      if (c == '\\' && (end == '"' || end == ']')) ++i;
      if (c == end) end = 0;
    } else if (c == '"' || c == '[' || c == '<' || c == '#') {
      end = c == '[' ? ']' : c == '<' ? '>' : c == '#' ? '\n' : '"';
      out.names_tokens |= c == '<';
    } else if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
      out.text += c;
    }
  }
  return out;
}

// {least,most}: the library takes their difference for a number of rules, and with most < least makes rules until
// there is no memory left.
base::Status check_repetitions(std::string_view outline) {
  const char* const end = outline.data() + outline.size();
  for (size_t at = outline.find('{'); at != std::string_view::npos; at = outline.find('{', at + 1)) {
    uint64_t least = 0, most = 0;
    const auto first = std::from_chars(outline.data() + at + 1, end, least);
    if (first.ec != std::errc() || first.ptr == end || *first.ptr != ',') continue;
    if (std::from_chars(first.ptr + 1, end, most).ec == std::errc() && most < least)
      return base::fail(base::Code::kInvalid, fmt::format("grammar: {{{},{}}} asks for at least {}, at most {} times",
                                                          least, most, least, most));
  }
  return {};
}

base::Status check_trigger(const std::string& trigger) {
  try {
    const std::regex compiled(trigger);
    return {};
  } catch (const std::regex_error& error) {
    return base::fail(base::Code::kInvalid, fmt::format("grammar trigger '{}': {}", trigger, error.what()));
  }
}

base::Status check(const Grammar::Source& source) {
  if (source.gbnf.size() > kMaxGrammarBytes) {
    return base::fail(base::Code::kInvalid, fmt::format("grammar: longer than {} bytes", kMaxGrammarBytes));
  }
  if (nesting_depth(source.gbnf) > kMaxGrammarDepth) {
    return base::fail(base::Code::kInvalid, fmt::format("grammar: nested deeper than {} levels", kMaxGrammarDepth));
  }
  for (const std::string& trigger : source.triggers) PAYONCE_CHECK_OK(check_trigger(trigger));
  return check_repetitions(outline_of(source.gbnf).text);
}

Sampler make_sampler(const Vocab& vocab, const Grammar::Source& source) {
  const llama_vocab* handle = vocab.llama_vocab_handle();
  if (!source.lazy) return Sampler(llama_sampler_init_grammar(handle, source.gbnf.c_str(), "root"));
  std::vector<const char*> patterns;
  patterns.reserve(source.triggers.size());
  for (const std::string& each : source.triggers) patterns.push_back(each.c_str());
  return Sampler(llama_sampler_init_grammar_lazy_patterns(handle, source.gbnf.c_str(), "root", patterns.data(),
                                                          patterns.size(), nullptr, 0));
}

base::Status read_prefill(const Vocab& vocab, const std::string& prefill, Grammar& grammar) {
  if (prefill.empty()) return {};
  PAYONCE_TRY(std::vector<int32_t> tokens, vocab.tokenize(prefill, false, true));
  // Some tokenizers put a space of their own in front.
  if (!tokens.empty() && vocab.piece(tokens[0], true) == " " && prefill[0] != ' ') tokens.erase(tokens.begin());
  for (const int32_t token : tokens) {
    if (!grammar.allows(token)) {
      return base::fail(base::Code::kInvalid, fmt::format("grammar: it does not begin with '{}'", prefill));
    }
    grammar.accept(token);
  }
  return {};
}

}  // namespace

base::Result<std::unique_ptr<Grammar>> Grammar::make(const Vocab& vocab, const Source& source) {
  if (source.gbnf.empty()) return base::fail(base::Code::kInvalid, "grammar: empty");
  PAYONCE_CHECK_OK(check(source));
  const LibraryErrors errors;
  Sampler sampler;
  std::string what;
  try {
    sampler = make_sampler(vocab, source);
  } catch (const std::exception& error) {
    what = error.what();
  }
  if (!sampler) {
    if (what.empty()) what = errors.first();
    return base::fail(base::Code::kInvalid, fmt::format("grammar: {}", what.empty() ? "it cannot be parsed" : what));
  }
  auto grammar = std::make_unique<LlamaGrammar>(vocab, vocab.token_tree(), std::move(sampler),
                                                outline_of(source.gbnf).names_tokens);
  if (!source.lazy) PAYONCE_CHECK_OK(read_prefill(vocab, source.prefill, *grammar));
  return grammar;
}

}  // namespace payonce::engine
