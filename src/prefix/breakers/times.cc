#include <algorithm>
#include <array>
#include <string>

#include "base/ascii.h"
#include "prefix/breakers/entities.h"

namespace payonce::prefix {
namespace {

using base::is_digit;
using base::is_letter;
using base::lower;

// What has been read of a time so far.
struct Seen {
  bool date = false, clock = false, weekday = false, month = false, day = false, year = false, epoch = false;
  bool is_time() const { return date || clock || weekday || epoch || (month && (day || year)); }
};

class TimeReader {
 public:
  TimeReader(std::string_view text, size_t at) : text_(text), begin_(at), at_(at) {}

  size_t read(bool& date_only) {
    if (begin_ > 0 && (is_digit(text_[begin_ - 1]) || is_letter(text_[begin_ - 1]))) return 0;
    size_t end = begin_;
    while (atom()) {
      if (seen_.is_time()) end = at_;
      if (seen_.epoch || !connector()) break;
    }
    date_only = !seen_.clock && !seen_.epoch;
    return end - begin_;
  }

 private:
  char peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  size_t digits() const {
    size_t count = 0;
    while (is_digit(peek(count))) ++count;
    return count;
  }
  int value(size_t count, size_t from = 0) const {
    int out = 0;
    for (size_t i = 0; i < count; ++i) out = out * 10 + (peek(from + i) - '0');
    return out;
  }
  bool take(size_t count) {
    at_ += count;
    return true;
  }

  // ", ", " ", "T", " at ", " - ", "of" between two atoms. False: what follows is no part of the time.
  bool connector() {
    const size_t before = at_;
    if ((peek() == 'T' || peek() == '_') && is_digit(peek(1))) return take(1);
    while (peek() == ',' || peek() == ' ' || peek() == '-' || peek() == '(') {
      if (at_ - before >= 3) return false;
      ++at_;
    }
    for (const std::string_view word : {"at ", "of ", "the "})
      if (text_.substr(at_).starts_with(word)) at_ += word.size();
    return at_ > before;
  }

  bool atom() {
    if (is_digit(peek())) return number();
    if (is_letter(peek())) return word();
    return false;
  }

  bool number() {
    const size_t count = digits();
    if (count == 4 && (peek(4) == '-' || peek(4) == '/' || peek(4) == '.') && is_digit(peek(5))) return iso_date();
    if (count <= 2 && peek(count) == ':') return clock(count);
    if (count <= 2 && peek(count) == '/' && is_letter(peek(count + 1))) return log_date(count);
    if (count <= 2 && (peek(count) == '/' || peek(count) == '.' || peek(count) == '-')) return short_date(count);
    if (count <= 2 && seen_.month && !seen_.day) return day(count);
    if (count <= 2 && !seen_.day && month_follows(count)) return day(count);
    if (count <= 2 && (lower(peek(count)) == 'a' || lower(peek(count)) == 'p') && lower(peek(count + 1)) == 'm')
      return seen_.clock = true, take(count + 2);
    if (count <= 2 && peek(count) == ' ' && half_day(count + 1) > 0)
      return seen_.clock = true, take(count + 1 + half_day(count + 1));
    if (count == 4 && (seen_.month || seen_.date) && value(4) > 1900 && value(4) < 2100)
      return seen_.year = true, take(4);
    if ((count == 8 || count == 14) && !seen_.is_time() && value(4) > 1900 && value(4) < 2100 && value(2, 4) <= 12 &&
        value(2, 6) <= 31)
      return seen_.date = true, seen_.clock = count == 14, take(count);
    if (count == 6 && seen_.date && value(2) < 24 && value(2, 2) < 60) {
      seen_.clock = true;
      at_ += 6;
      return zone(), true;
    }
    return epoch(count);
  }

  bool iso_date() {
    const char mark = peek(4);
    at_ += 5;
    const size_t month = digits();
    if (month > 2 || value(month) > 12 || value(month) == 0) return false;
    at_ += month;
    if (peek() == mark && is_digit(peek(1))) {
      ++at_;
      const size_t day = digits();
      if (day > 2 || value(day) > 31) return false;
      at_ += day;
    }
    return seen_.date = true;
  }

  bool short_date(size_t count) {
    const size_t before = at_;
    const char mark = peek(count);
    at_ += count + 1;
    const size_t second = digits();
    if (second >= 1 && second <= 2 && peek(second) == mark) {
      at_ += second + 1;
      const size_t year = digits();
      if (year == 2 || year == 4) return seen_.date = true, take(year);
    }
    at_ = before;
    return false;
  }

  // "03/Mar/2026:14:05:09 +0000", as web servers log it.
  bool log_date(size_t count) {
    const size_t month = month_name(count + 1), year = count + 1 + month + 1;
    if (month == 0 || peek(year - 1) != '/' || !is_digit(peek(year)) || !is_digit(peek(year + 3))) return false;
    at_ += year + 4;
    if (peek() == ':' && is_digit(peek(1)) && is_digit(peek(2)) && peek(3) == ':') {
      ++at_;
      (void)clock(2);
    }
    return seen_.date = true;
  }

  bool clock(size_t count) {
    if (value(count) > 24 || !is_digit(peek(count + 1)) || !is_digit(peek(count + 2)) || value(2, count + 1) > 59)
      return false;
    at_ += count + 3;
    if (is_digit(peek())) return false;
    if (peek() == ':' && is_digit(peek(1)) && is_digit(peek(2))) at_ += 3;
    if ((peek() == '.' || peek() == ',') && is_digit(peek(1))) {
      ++at_;
      at_ += digits();
    }
    const size_t space = peek() == ' ' ? 1 : 0;
    if (const size_t half = half_day(space); half > 0) at_ += space + half;
    zone();
    return seen_.clock = true;
  }

  // "am", "p.m.", "PM"
  size_t half_day(size_t ahead) const {
    if (lower(peek(ahead)) != 'a' && lower(peek(ahead)) != 'p') return 0;
    if (lower(peek(ahead + 1)) == 'm' && !is_letter(peek(ahead + 2))) return 2;
    return peek(ahead + 1) == '.' && lower(peek(ahead + 2)) == 'm' ? (peek(ahead + 3) == '.' ? 4 : 3) : 0;
  }

  void zone() {
    if (peek() == ' ' && (peek(1) == '+' || peek(1) == '-') && is_digit(peek(2)) && is_digit(peek(5))) ++at_;
    if (peek() == 'Z' && !is_letter(peek(1))) {
      ++at_;
      return;
    }
    const size_t space = peek() == ' ' ? 1 : 0;
    for (const std::string_view name : {"UTC", "GMT", "CEST", "CET", "EST", "EDT", "PST", "PDT"})
      if (text_.substr(std::min(at_ + space, text_.size())).starts_with(name)) at_ += space + name.size();
    if ((peek() == '+' || peek() == '-') && is_digit(peek(1)) && is_digit(peek(2)))
      at_ += is_digit(peek(3)) && is_digit(peek(4)) ? 5 : peek(3) == ':' && is_digit(peek(4)) ? 6 : 3;
  }

  size_t named(size_t ahead, const auto& names) const {
    size_t letters = 0;
    while (is_letter(peek(ahead + letters))) ++letters;
    if (letters < 3) return 0;
    const std::string word = base::lowered(text_.substr(at_ + ahead, letters));
    for (const std::string_view name : names)
      if (word == name || (letters == 3 && name.starts_with(word)) || (word == "sept" && name == "september"))
        return letters;
    return 0;
  }
  size_t month_name(size_t ahead) const {
    static constexpr std::array<std::string_view, 12> kMonths = {"january",   "february", "march",    "april",
                                                                 "may",       "june",     "july",     "august",
                                                                 "september", "october",  "november", "december"};
    return named(ahead, kMonths);
  }
  size_t weekday_name() const {
    static constexpr std::array<std::string_view, 7> kDays = {"monday", "tuesday",  "wednesday", "thursday",
                                                              "friday", "saturday", "sunday"};
    return named(0, kDays);
  }
  size_t ordinal(size_t ahead) const {
    for (const std::string_view end : {"st", "nd", "rd", "th"})
      if (text_.substr(std::min(at_ + ahead, text_.size())).starts_with(end)) return 2;
    return 0;
  }
  bool month_follows(size_t count) const {
    size_t ahead = count + ordinal(count);
    if (peek(ahead) != ' ' && peek(ahead) != '-') return false;
    ++ahead;
    if (at_ + ahead < text_.size() && text_.substr(at_ + ahead).starts_with("of ")) ahead += 3;
    return month_name(ahead) > 0;
  }
  bool day(size_t count) {
    if (value(count) > 31 || is_letter(peek(count + ordinal(count)))) return false;
    return seen_.day = true, take(count + ordinal(count));
  }

  bool word() {
    if (const size_t letters = weekday_name(); letters > 0 && !seen_.weekday) {
      if (letters == 3 && peek(3) != ',' && peek(3) != ' ' && peek(3) != '.') return false;
      // "sun" and "sat" are words, too: short names count only in front of more of a date.
      if (letters == 3 && !is_letter(peek(4)) && !is_digit(peek(4)) && peek(4) != ' ') return false;
      at_ += letters;
      seen_.weekday = letters > 3;
      return true;
    }
    if (const size_t letters = month_name(0); letters > 0 && !seen_.month) return seen_.month = true, take(letters);
    return false;
  }

  bool epoch(size_t count) {
    if (seen_.is_time() || (count != 10 && count != 13 && count != 16 && count != 19)) return false;
    const int lead = value(3);  // 2017-07 … 2033-05
    if (lead < 150 || lead > 199 || is_letter(peek(count))) return false;
    at_ += count;
    if (peek() == '.' && is_digit(peek(1))) {
      ++at_;
      at_ += digits();
    }
    return seen_.epoch = true;
  }

  const std::string_view text_;
  const size_t begin_;
  size_t at_;
  Seen seen_;
};

}  // namespace

size_t time_length(std::string_view text, size_t at, bool& date_only) { return TimeReader(text, at).read(date_only); }

}  // namespace payonce::prefix
