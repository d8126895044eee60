// Does a layer pay for itself? Each look-up delays the request by some time; each hit spares an upstream call, which
// is worth its latency, or Options::call_us where that is more, since tokens have a price, too. Where the delays of a
// route add up to more than what its hits spare, only a sample of its requests waits for the look-up; the others are
// looked up beside their upstream call, which goes on measuring, until it pays again.
// Threads: all any.  Owner: the stage.
#pragma once

#include <cstdint>
#include <mutex>
#include <random>
#include <string>
#include <unordered_map>

namespace payonce::pipeline {

class BreakEven {
 public:
  struct Options {
    uint64_t trial = 1000;       // look-ups of a route before it is judged
    double sample = 1.0 / 16;    // share of the requests that wait where it does not pay
    double call_us = 1'000'000;  // an upstream call is worth no less
    double memory = 2000;        // look-ups over which the means are taken
    size_t max_routes = 1024;
  };
  explicit BreakEven(Options options) : options_(options) {}
  BreakEven() : BreakEven(Options()) {}

  // False: look up beside the call, not before it.
  bool should_wait(const std::string& route);
  void looked(const std::string& route, bool hit, int64_t delay_us);
  void called(const std::string& route, int64_t upstream_us);
  bool sampling() const;  // some route is

 private:
  struct Route {
    uint64_t looks = 0, calls = 0;
    double hit_rate = 0, delay_us = 0, upstream_us = 0;  // means, the latest weigh most
    bool sampling = false;
  };
  Route* find(const std::string& route);

  const Options options_;
  mutable std::mutex mutex_;  // guards all below
  std::unordered_map<std::string, Route> routes_;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace payonce::pipeline
