// The metrics of the contract, declared once: name, kind, help and labels stand in one table (metrics.cc), from which
// the exposition and docs/operations/metrics.md come.  Threads: any. A handle is valid as long as its Metrics; look a
// handle up once and keep it: the look-up takes a lock, the handle does not.
#pragma once

#include <initializer_list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace payonce::base {

using Labels = std::map<std::string, std::string>;

struct MetricInfo {
  std::string_view name;
  std::string_view kind;    // counter | gauge | histogram
  std::string_view labels;  // comma-separated
  std::string_view help;
};
std::span<const MetricInfo> metric_table();

class Counter {
 public:
  Counter() = default;
  void add(double amount = 1) const;
  double value() const;

 private:
  friend class Metrics;
  explicit Counter(prometheus::Counter* counter) : counter_(counter) {}
  prometheus::Counter* counter_ = nullptr;  // null: counts nothing
};

class Gauge {
 public:
  Gauge() = default;
  void set(double value) const;
  void add(double amount) const;
  double value() const;

 private:
  friend class Metrics;
  explicit Gauge(prometheus::Gauge* gauge) : gauge_(gauge) {}
  prometheus::Gauge* gauge_ = nullptr;
};

class Histogram {
 public:
  Histogram() = default;
  void observe(double seconds) const;

 private:
  friend class Metrics;
  explicit Histogram(prometheus::Histogram* histogram) : histogram_(histogram) {}
  prometheus::Histogram* histogram_ = nullptr;
};

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // `name` must be in the table with that kind: anything else is a programming error (assertion).
  Counter counter(std::string_view name, const Labels& labels = {});
  Gauge gauge(std::string_view name, const Labels& labels = {});
  Histogram histogram(std::string_view name, const Labels& labels = {});

  std::string exposition() const;  // Prometheus text format 0.0.4

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace payonce::base
