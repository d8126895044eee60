#include "payonce/progress_bar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace payonce {
namespace {

constexpr size_t kWidth = 24;
constexpr auto kEvery = std::chrono::milliseconds(100);

}  // namespace

ProgressBar::ProgressBar() : terminal_(isatty(STDERR_FILENO) != 0) {}
ProgressBar::~ProgressBar() {
  if (drawn_) (void)std::fputs("\r\x1b[K", stderr);
}

void ProgressBar::show(std::string_view stage, uint64_t done, uint64_t all) {
  if (!terminal_ || all == 0) return;
  const Clock::time_point now = Clock::now();
  if (stage != stage_) {
    stage_ = stage;
    began_ = now;
  } else if (now - drawn_at_ < kEvery && done < all) {
    return;
  }
  drawn_at_ = now;
  drawn_ = true;
  const double share = static_cast<double>(done) / static_cast<double>(all);
  const double spent_s = std::chrono::duration<double>(now - began_).count();
  const auto full = static_cast<size_t>(share * kWidth);
  std::string line = fmt::format("\r\x1b[K{:<12} [{}{}] {:3.0f} %", stage, std::string(full, '#'),
                                 std::string(kWidth - full, '.'), 100 * share);
  if (share > 0.02 && spent_s > 1) line += fmt::format("  {:.0f} s left", spent_s / share - spent_s);
  (void)std::fputs(line.c_str(), stderr);
  (void)std::fflush(stderr);
}

}  // namespace payonce
