// A line on the terminal that says how far a long piece of work is, and how long it will take. Nothing is written
// where the standard error is no terminal.  Threads: one at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace payonce {

class ProgressBar {
 public:
  ProgressBar();
  ~ProgressBar();  // clears the line
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // `done` of `all` of what `stage` does; another stage than the one before begins anew.
  void show(std::string_view stage, uint64_t done, uint64_t all);

 private:
  using Clock = std::chrono::steady_clock;
  const bool terminal_;
  bool drawn_ = false;
  std::string stage_;
  Clock::time_point began_, drawn_at_;
};

}  // namespace payonce
