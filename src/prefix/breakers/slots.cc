#include "prefix/breakers/slots.h"

#include <algorithm>
#include <optional>

#include "base/ascii.h"
#include "prefix/breakers/differences.h"
#include "prefix/breakers/entities.h"
#include "prefix/breakers/labels.h"
#include "prefix/prompt/prompt.h"

namespace payonce::prefix {
namespace {

constexpr size_t kWindowBytes = 120;  // around a difference, where entities are looked for
constexpr size_t kMergeBytes = 48;    // slots of one kind so near to each other are one

struct Token {
  uint32_t begin, end;
  bool space;
};

bool is_word(char c) { return base::is_utf8_letter(c) || base::is_digit(c) || c == '_'; }

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
    std::vector<Region> regions =
        differing_regions(static_cast<uint32_t>(of_a.size()), static_cast<uint32_t>(of_b.size()), equal);
    for (size_t i = 0; i < regions.size(); ++i) slide(regions[i], i == 0 ? Region{} : regions[i - 1], of_a, of_b);
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
  static std::string_view text_at(std::string_view of, const std::vector<Token>& tokens, uint32_t index) {
    return index < tokens.size() ? text(of, tokens[index]) : std::string_view();
  }
  static Span span(const std::vector<Token>& tokens, uint32_t from, uint32_t to, size_t end) {
    const size_t begin = from < tokens.size() ? tokens[from].begin : end;
    return {begin, from == to ? begin : tokens[to - 1].end};
  }

  // What was put in or taken out, as far to the front as it could stand: "b a" in "a b a" and "a b" are one change,
  // and it must have one place, whichever of the two texts comes first.
  void slide(Region& region, const Region& before, const std::vector<Token>& of_a,
             const std::vector<Token>& of_b) const {
    const bool added = region.a_begin == region.a_end;
    if (added == (region.b_begin == region.b_end)) return;
    // White space was aligned with other white space: better with the same.
    const std::string_view next_a = text_at(a_, of_a, region.a_begin), next_b = text_at(b_, of_b, region.b_begin);
    const std::string_view behind = added ? text_at(b_, of_b, region.b_end) : text_at(a_, of_a, region.a_end);
    if (!behind.empty() && next_a == next_b && behind != next_a)
      ++region.a_begin, ++region.a_end, ++region.b_begin, ++region.b_end;
    const auto repeats = [&](std::string_view of, const std::vector<Token>& tokens, uint32_t begin, uint32_t end) {
      return text(of, tokens[begin - 1]) == text(of, tokens[end - 1]);
    };
    while (
        region.a_begin > before.a_end && region.b_begin > before.b_end &&
        (added ? repeats(b_, of_b, region.b_begin, region.b_end) : repeats(a_, of_a, region.a_begin, region.a_end)))
      --region.a_begin, --region.a_end, --region.b_begin, --region.b_end;
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
    // Beside what was put in or taken out, white space is a part of it.
    const auto check = [&](uint32_t end, bool first, bool last) {
      for (const uint32_t begin = i; i < end; ++i, ++j)
        if (of_a[i].space && (first || i > begin) && (last || i + 1 < end) &&
            text(a_, of_a[i]) != text(b_, of_b[j])) {
          slot(Guess::kWhitespace, {of_a[i].begin, of_a[i].end}, {of_b[j].begin, of_b[j].end});
          return true;
        }
      return false;
    };
    for (const Region& region : regions) {
      if (check(region.a_begin, i == 0, false)) return;
      i = region.a_end;
      j = region.b_end;
    }
    (void)check(static_cast<uint32_t>(of_a.size()), regions.empty(), true);
  }

  void add(const Change& change) {
    const std::string_view was = a_.substr(change.a.begin, change.a.end - change.a.begin);
    const std::string_view is = b_.substr(change.b.begin, change.b.end - change.b.begin);
    if (without_spelling(was) == without_spelling(is)) return slot(Guess::kWhitespace, change.a, change.b);
    const size_t end_a = was.find_last_not_of(" \n\r\t") + 1, end_b = is.find_last_not_of(" \n\r\t") + 1;
    if (end_a > 0 && end_b > 0 && was.substr(end_a) != is.substr(end_b))
      slot(Guess::kWhitespace, {change.a.begin + end_a, change.a.end}, {change.b.begin + end_b, change.b.end});
    if (const auto line = billing_line(b_, change.b); line) return billing(change, *line);
    if (billing_line(a_, change.a)) return slot(Guess::kBilling, change.a, change.b);
    const Span wide_a = widened(a_, change.a), wide_b = widened(b_, change.b);
    const std::vector<Entity> in_a = entities_near(a_, wide_a), in_b = entities_near(b_, wide_b);
    bool named = false;
    for (const Entity& entity : in_b) {
      named = true;
      if (entity.begin < told_) continue;  // the same, seen before
      const auto match =
          std::find_if(in_a.begin(), in_a.end(), [&](const Entity& e) { return e.type == entity.type; });
      const Span from = match != in_a.end() ? Span{match->begin, match->end} : wide_a;
      slot(guess_of(entity, match != in_a.end()), from, {entity.begin, entity.end});
    }
    if (named) return other_lines(change, in_b);
    if (change.b.begin < told_) return;
    slot(guess_of_plain(wide_a, wide_b), wide_a, wide_b);
  }

  // Lines of the change in which none of the entities stands.
  void other_lines(const Change& change, const std::vector<Entity>& entities) {
    for (size_t begin = change.b.begin; begin < change.b.end;) {
      const size_t end = std::min(std::min(b_.find('\n', begin), b_.size() - 1) + 1, change.b.end);
      const bool told = std::any_of(entities.begin(), entities.end(),
                                    [&](const Entity& entity) { return entity.begin < end && begin < entity.end; });
      const Span line{begin + b_.substr(begin, end - begin).find_first_not_of(" \n\r\t"), end};
      if (!told && line.begin >= begin && line.begin + 3 < line.end)
        slot(guess_of_plain({change.a.begin, change.a.begin}, line), {change.a.begin, change.a.begin}, line);
      begin = end;
    }
  }

  // The billing line, and what changed in front of it and behind it.
  void billing(const Change& change, const Span& line) {
    const Span was = billing_line(a_, change.a).value_or(Span{change.a.begin, change.a.begin});
    const auto rest = [&](const Span& a, const Span& b) {
      if (b.begin < b.end &&
          without_spelling(b_.substr(b.begin, b.end - b.begin)).find_first_not_of(".,:;-") != std::string::npos)
        add({a, b});
    };
    rest({change.a.begin, std::clamp(was.begin, change.a.begin, change.a.end)},
         {change.b.begin, std::clamp(line.begin, change.b.begin, change.b.end)});
    slot(Guess::kBilling, was.begin < was.end ? was : change.a, line);
    rest({std::clamp(was.end, change.a.begin, change.a.end), change.a.end},
         {std::clamp(line.end, change.b.begin, change.b.end), change.b.end});
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
    return looks_like_name(old_text) && looks_like_name(new_text) && !starts_sentence(is.begin) ? Guess::kUser
                                                                                                : Guess::kOther;
  }
  // A capital says nothing there.
  bool starts_sentence(size_t at) const {
    while (at > 0 && (b_[at - 1] == ' ' || b_[at - 1] == '*' || b_[at - 1] == '"')) --at;
    return at == 0 || std::string_view(".!?-\n").find(b_[at - 1]) != std::string_view::npos;
  }

  // The whole line, if a part of it is in `at` and it is the billing line.
  static std::optional<Span> billing_line(std::string_view text, const Span& at) {
    const size_t newline = at.begin == 0 ? std::string_view::npos : text.rfind('\n', at.begin - 1);
    const size_t begin = newline == std::string_view::npos ? 0 : newline + 1;
    const size_t found = text.find(kBillingLine, begin);
    if (found == std::string_view::npos || found >= at.end) return std::nullopt;
    const size_t end = std::min(text.find('\n', found), text.size());
    return end > at.begin ? std::optional(Span{found, end}) : std::nullopt;
  }

  // To the bounds of the word, number, time or address that it is in.
  static Span widened(std::string_view text, Span at) {
    const auto inside = [](char c) {
      return is_word(c) || c == '-' || c == '.' || c == ':' || c == '/' || c == '@' || c == '+' || c == ',' ||
             c == '%';
    };
    if (at.begin == at.end) return at;
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
    const std::string_view before = line_before(b_, is.begin);
    const size_t from = told_ <= is.begin ? told_ : 0;  // a label does not reach into the slot before
    const size_t end = std::max(is.begin, is.end);
    if (guess != Guess::kWhitespace) told_ = std::max(told_, is.end);
    out_.slots.push_back(
        {.guess = guess,
         .begin = is.begin,
         .end = end,
         .was_begin = was.begin,
         .was_end = was.end,
         .before = excerpt(a_.substr(was.begin, was.end - was.begin)),
         .after = excerpt(b_.substr(is.begin, end - is.begin)),
         .label = label_of(before.substr(before.size() - std::min(before.size(), is.begin - from)))});
  }

  void merge() {
    std::stable_sort(out_.slots.begin(), out_.slots.end(),
                     [](const Slot& one, const Slot& other) { return one.begin < other.begin; });
    std::vector<Slot> kept;
    for (Slot& next : out_.slots) {
      if (!kept.empty() && joins(kept.back(), next)) {
        if (next.guess == Guess::kWhitespace) continue;  // the first place tells it
        kept.back().end = std::max(kept.back().end, next.end);
        kept.back().was_begin = std::min(kept.back().was_begin, next.was_begin);
        kept.back().was_end = std::max(kept.back().was_end, next.was_end);
        kept.back().before = excerpt(a_.substr(kept.back().was_begin, kept.back().was_end - kept.back().was_begin));
        if (kept.back().guess == Guess::kOther || kept.back().guess == Guess::kNumber) kept.back().guess = next.guess;
        kept.back().after = excerpt(b_.substr(kept.back().begin, kept.back().end - kept.back().begin));
        if (kept.back().guess == Guess::kUser && is_sentence(kept.back())) kept.back().guess = Guess::kOther;
        continue;
      }
      kept.push_back(std::move(next));
    }
    out_.slots = std::move(kept);
  }
  // Grown together, it is no name any more.
  bool is_sentence(const Slot& slot) const {
    return slot.after.find('@') == std::string::npos && !looks_like_name(slot.after) &&
           guess_by_label(line_before(b_, slot.begin)) != Guess::kUser;
  }
  bool joins(const Slot& one, const Slot& other) const {
    if (one.guess == Guess::kWhitespace && other.guess == Guess::kWhitespace) return true;
    if (other.begin > one.end + kMergeBytes) return false;
    const bool one_line =
        other.begin <= one.end || b_.substr(one.end, other.begin - one.end).find('\n') == std::string_view::npos;
    const auto is_state = [](Guess guess) {
      return guess == Guess::kWorkspace || guess == Guess::kOther || guess == Guess::kNumber;
    };
    if (!one_line && (!is_state(one.guess) || !is_state(other.guess))) return false;
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
  size_t told_ = 0;  // end of the last slot in b
  TextChange out_;
};

}  // namespace

TextChange compare_text(std::string_view a, std::string_view b) { return Comparison(a, b).run(); }

}  // namespace payonce::prefix
