#include "prefix/breakers/slots.h"

#include <algorithm>
#include <optional>

#include "prefix/breakers/differences.h"
#include "prefix/breakers/entities.h"
#include "prefix/breakers/labels.h"

namespace payonce::prefix {
namespace {

constexpr size_t kWindowBytes = 120;  // around a difference, where entities are looked for
constexpr size_t kMergeBytes = 48;    // slots of one kind so near to each other are one

struct Token {
  uint32_t begin, end;
  bool space;
};

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c < 0;
}

std::vector<Token> tokens_of(std::string_view text, size_t from, size_t to) {
  std::vector<Token> out;
  for (size_t at = from; at < to;) {
    const size_t begin = at;
    const size_t space = space_length(text, at);
    if (space > 0) {
      while (at < to && space_length(text, at) > 0) at += space_length(text, at);
    } else if (is_word(text[at])) {
      while (at < to && is_word(text[at]) && space_length(text, at) == 0) ++at;
    } else {
      ++at;
    }
    out.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(std::min(at, to)), space > 0});
  }
  return out;
}

struct Span {
  size_t begin, end;
};
struct Change {
  Span a, b;
};

class Comparison {
 public:
  Comparison(std::string_view a, std::string_view b) : a_(a), b_(b) {}

  TextChange run() {
    trim();
    const std::vector<Token> of_a = tokens_of(a_, front_, a_.size() - back_);
    const std::vector<Token> of_b = tokens_of(b_, front_, b_.size() - back_);
    // Two runs of white space are one token to the alignment, so that drift of all line ends hides nothing else.
    const auto equal = [&](uint32_t i, uint32_t j) {
      return of_a[i].space ? of_b[j].space : text(a_, of_a[i]) == text(b_, of_b[j]);
    };
    const std::vector<Region> regions =
        differing_regions(static_cast<uint32_t>(of_a.size()), static_cast<uint32_t>(of_b.size()), equal);
    find_drift(of_a, of_b, regions);
    for (const Region& region : regions) {
      const Change change{span(of_a, region.a_begin, region.a_end, a_.size() - back_),
                          span(of_b, region.b_begin, region.b_end, b_.size() - back_)};
      out_.changed_bytes += std::max(change.a.end - change.a.begin, change.b.end - change.b.begin);
      add(change);
    }
    const size_t larger = std::max(a_.size(), b_.size());
    out_.rewritten = larger > 64 && out_.changed_bytes * 10 > larger * 6;
    merge();
    return std::move(out_);
  }

 private:
  static std::string_view text(std::string_view of, const Token& token) {
    return of.substr(token.begin, token.end - token.begin);
  }
  static Span span(const std::vector<Token>& tokens, uint32_t from, uint32_t to, size_t end) {
    const size_t begin = from < tokens.size() ? tokens[from].begin : end;
    return {begin, from == to ? begin : tokens[to - 1].end};
  }

  // What both texts begin and end with, back to where a word begins and ends.
  void trim() {
    const size_t shorter = std::min(a_.size(), b_.size());
    front_ = static_cast<size_t>(
        std::mismatch(a_.begin(), a_.begin() + static_cast<ptrdiff_t>(shorter), b_.begin()).first - a_.begin());
    while (front_ > 0 && (front_ == shorter || !is_ascii_space(b_[front_ - 1]))) --front_;
    while (front_ > 0 && is_ascii_space(b_[front_ - 1])) --front_;
    while (back_ < shorter - front_ && a_[a_.size() - 1 - back_] == b_[b_.size() - 1 - back_]) ++back_;
    while (back_ > 0 && !is_ascii_space(b_[b_.size() - back_])) --back_;
  }
  static bool is_ascii_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

  // White space that is aligned and differs.
  void find_drift(const std::vector<Token>& of_a, const std::vector<Token>& of_b,
                  const std::vector<Region>& regions) {
    uint32_t i = 0, j = 0;
    const auto check = [&](uint32_t end) {
      for (; i < end; ++i, ++j)
        if (of_a[i].space && text(a_, of_a[i]) != text(b_, of_b[j])) {
          slot(Guess::kWhitespace, {of_a[i].begin, of_a[i].end}, {of_b[j].begin, of_b[j].end});
          return true;
        }
      return false;
    };
    for (const Region& region : regions) {
      if (check(region.a_begin)) return;
      i = region.a_end;
      j = region.b_end;
    }
    (void)check(static_cast<uint32_t>(of_a.size()));
  }

  void add(const Change& change) {
    const std::string_view was = a_.substr(change.a.begin, change.a.end - change.a.begin);
    const std::string_view is = b_.substr(change.b.begin, change.b.end - change.b.begin);
    if (without_spelling(was) == without_spelling(is)) return slot(Guess::kWhitespace, change.a, change.b);
    if (const auto line = billing_line(b_, change.b); line) return slot(Guess::kBilling, change.a, *line);
    if (billing_line(a_, change.a)) return slot(Guess::kBilling, change.a, change.b);
    const Span wide_a = widened(a_, change.a), wide_b = widened(b_, change.b);
    const std::vector<Entity> in_a = entities_near(a_, wide_a), in_b = entities_near(b_, wide_b);
    bool named = false;
    for (const Entity& entity : in_b) {
      named = true;
      if (!out_.slots.empty() && entity.begin < out_.slots.back().end) continue;  // the same, seen before
      const auto match =
          std::find_if(in_a.begin(), in_a.end(), [&](const Entity& e) { return e.type == entity.type; });
      const Span from = match != in_a.end() ? Span{match->begin, match->end} : wide_a;
      slot(guess_of(entity, match != in_a.end()), from, {entity.begin, entity.end});
    }
    if (named) return;
    if (!out_.slots.empty() && change.b.begin < out_.slots.back().end) return;
    slot(guess_of_plain(wide_a, wide_b), wide_a, wide_b);
  }

  Guess guess_of(const Entity& entity, bool both) const {
    const Guess label = guess_by_label(line_before(b_, entity.begin));
    switch (entity.type) {
      case EntityType::kTime:
        if (label == Guess::kUser && both) return Guess::kUser;  // when someone joined
        return entity.date_only ? Guess::kDate : Guess::kClock;
      case EntityType::kEmail: return Guess::kUser;
      case EntityType::kPath: return Guess::kWorkspace;
      case EntityType::kId: break;
    }
    if (label == Guess::kUser) return Guess::kUserId;
    return label == Guess::kWorkspace ? label : Guess::kId;
  }

  Guess guess_of_plain(const Span& was, const Span& is) const {
    const std::string_view old_text = a_.substr(was.begin, was.end - was.begin);
    const std::string_view new_text = b_.substr(is.begin, is.end - is.begin);
    const Guess label = guess_by_label(line_before(b_, is.begin));
    const bool number = is_number(new_text) && is_number(old_text);
    if (label == Guess::kClock) return number ? Guess::kClock : Guess::kOther;
    if (label == Guess::kId) return new_text.find(' ') == std::string_view::npos ? Guess::kId : Guess::kOther;
    if (label == Guess::kUser) return number ? Guess::kUserId : Guess::kUser;
    if (label == Guess::kWorkspace) return label;
    if (number) return Guess::kNumber;
    return looks_like_name(old_text) && looks_like_name(new_text) ? Guess::kUser : Guess::kOther;
  }

  // The whole line, if it is the billing line.
  static std::optional<Span> billing_line(std::string_view text, const Span& at) {
    const size_t newline = at.begin == 0 ? std::string_view::npos : text.rfind('\n', at.begin - 1);
    const size_t begin = newline == std::string_view::npos ? 0 : newline + 1;
    const size_t found = text.find(kBillingHeader, begin);
    const size_t end = std::min(text.find('\n', at.begin), text.size());
    if (found == std::string_view::npos || found > std::max(end, at.end)) return std::nullopt;
    return Span{found, std::max(std::min(text.find('\n', found), text.size()), found)};
  }

  // To the bounds of the word, number, time or address that it is in.
  static Span widened(std::string_view text, Span at) {
    const auto inside = [](char c) {
      return is_word(c) || c == '-' || c == '.' || c == ':' || c == '/' || c == '@' || c == '+' || c == ',' ||
             c == '%';
    };
    if (at.begin < at.end)
      while (at.begin < at.end && space_length(text, at.begin) > 0) at.begin += space_length(text, at.begin);
    while (at.begin > 0 && inside(text[at.begin - 1]) && text[at.begin - 1] != ',') --at.begin;
    while (at.end < text.size() && inside(text[at.end])) ++at.end;
    while (at.end > at.begin && !is_word(text[at.end - 1]) && text[at.end - 1] != '/' && text[at.end - 1] != '%')
      --at.end;
    return at;
  }

  // Entities that overlap `at`.
  static std::vector<Entity> entities_near(std::string_view text, const Span& at) {
    size_t from = at.begin > kWindowBytes ? at.begin - kWindowBytes : 0;
    if (const size_t newline = at.begin == 0 ? std::string_view::npos : text.rfind('\n', at.begin - 1);
        newline != std::string_view::npos)
      from = std::max(from, newline + 1);
    while (from > 0 && from < at.begin && is_word(text[from - 1])) ++from;
    const size_t to = std::min(at.end + kWindowBytes, text.size());
    std::vector<Entity> out;
    for (Entity entity : entities_in(text.substr(from, to - from))) {
      entity.begin += from;
      entity.end += from;
      const bool touches = at.begin == at.end ? entity.begin <= at.begin && at.begin < entity.end
                                              : entity.begin < at.end && at.begin < entity.end;
      if (touches) out.push_back(entity);
    }
    return out;
  }

  void slot(Guess guess, const Span& was, const Span& is) {
    const size_t from = out_.slots.empty() ? 0 : std::min(out_.slots.back().end, is.begin);
    const std::string_view before = line_before(b_, is.begin);
    out_.slots.push_back({guess, is.begin, std::max(is.begin, is.end),
                          excerpt(a_.substr(was.begin, was.end - was.begin)),
                          excerpt(b_.substr(is.begin, std::max(is.begin, is.end) - is.begin)),
                          label_of(before.substr(before.size() - std::min(before.size(), is.begin - from)))});
  }

  void merge() {
    std::stable_sort(out_.slots.begin(), out_.slots.end(),
                     [](const Slot& one, const Slot& other) { return one.begin < other.begin; });
    std::vector<Slot> kept;
    for (Slot& next : out_.slots) {
      if (!kept.empty() && joins(kept.back(), next)) {
        kept.back().end = std::max(kept.back().end, next.end);
        if (kept.back().guess == Guess::kOther || kept.back().guess == Guess::kNumber) kept.back().guess = next.guess;
        kept.back().after = excerpt(b_.substr(kept.back().begin, kept.back().end - kept.back().begin));
        continue;
      }
      kept.push_back(std::move(next));
    }
    out_.slots = std::move(kept);
  }
  static bool joins(const Slot& one, const Slot& other) {
    if (one.guess == Guess::kWhitespace && other.guess == Guess::kWhitespace) return true;
    if (other.begin > one.end + kMergeBytes) return false;
    const auto family = [](Guess guess) {
      switch (guess) {
        case Guess::kDate: return Guess::kClock;
        case Guess::kUserId: return Guess::kUser;
        case Guess::kNumber:
        case Guess::kWorkspace: return Guess::kOther;
        default: return guess;
      }
    };
    return family(one.guess) == family(other.guess) ||
           (one.guess == Guess::kUser && other.guess == Guess::kOther && other.begin <= one.end + 3) ||
           (one.guess == Guess::kOther && other.guess == Guess::kUser && other.begin <= one.end + 3);
  }

  const std::string_view a_, b_;
  size_t front_ = 0, back_ = 0;
  TextChange out_;
};

}  // namespace

TextChange compare_text(std::string_view a, std::string_view b) { return Comparison(a, b).run(); }

}  // namespace payonce::prefix
