// ggml's back ends, found through its registry so that built-in and dynamically loaded ones work alike: the CPU
// always, and one other device when asked for. Owns the thread pool. Threads: one.
#pragma once

#include <ggml-cpp.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "engine/model/tensor_memory.h"

namespace payonce::engine {

class Backend {
 public:
  // `device`: "" or "cpu", or a ggml device by name. kInvalid: names the unknown device and the known ones.
  static base::Result<std::unique_ptr<Backend>> make(const std::string& device, int threads);
  ~Backend();
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  int threads() const { return threads_; }
  bool on_cpu() const { return !device_; }
  // Where weights and KV pools live, and where the CPU's part does.
  ggml_backend_buffer_type_t buffer_type() const;

  // The tensors of `graph`, made in `context`, get their places, and keep them. On the CPU all graphs' tensors lie
  // over each other: one graph is computed at a time, and what it gave is read before the next one's inputs are set.
  // kExhausted.
  base::Status lay_out(ggml_context* context, ggml_cgraph* graph);
  // Before a graph's inputs are set. kExhausted.
  base::Status prepare(ggml_cgraph* graph);
  base::Status compute(ggml_cgraph* graph);

 private:
  Backend() = default;
  base::Status start_threads();

  int threads_ = 0;
  ggml_backend_ptr cpu_, device_;
  ggml_backend_sched_ptr scheduler_;  // null on the CPU alone
  ggml_cgraph* scheduled_ = nullptr;  // the graph that the scheduler's memory is laid out for
  TensorMemory tensors_;              // of the CPU's graphs
  struct ThreadPool;
  std::unique_ptr<ThreadPool> pool_;
};

}  // namespace payonce::engine
