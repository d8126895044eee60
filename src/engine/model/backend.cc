#include "engine/model/backend.h"

#include <fmt/format.h>
#include <ggml-cpu.h>

#include <algorithm>
#include <thread>

#include "engine/model/library_log.h"

namespace payonce::engine {

namespace {

constexpr size_t kMaxGraphNodes = 1 << 16;
constexpr uint32_t kPollLevel = 1;  // some ms: longer than between two steps, short enough not to heat an idle host

template <typename Function>
Function procedure(ggml_backend_reg_t registry, const char* name) {
  return reinterpret_cast<Function>(ggml_backend_reg_get_proc_address(registry, name));
}

base::Result<ggml_backend_ptr> open_device(const std::string& name) {
  ggml_backend_dev_t device = ggml_backend_dev_by_name(name.c_str());
  if (!device) {
    std::string known = "cpu";
    for (size_t i = 0; i < ggml_backend_dev_count(); ++i) {
      known += fmt::format(", {}", ggml_backend_dev_name(ggml_backend_dev_get(i)));
    }
    return base::fail(base::Code::kInvalid, fmt::format("device '{}' is not known (known: {})", name, known));
  }
  ggml_backend_ptr backend(ggml_backend_dev_init(device, nullptr));
  if (!backend) return base::fail(base::Code::kUnavailable, fmt::format("device '{}' does not start", name));
  return backend;
}

}  // namespace

// The functions come from the CPU back end's registry entry: a loaded one is not linked.
struct Backend::ThreadPool {
  using Free = void (*)(ggml_threadpool*);
  ggml_threadpool* pool = nullptr;
  Free free = nullptr;
  ~ThreadPool() {
    if (pool && free) free(pool);
  }
};

base::Result<std::unique_ptr<Backend>> Backend::make(const std::string& device, int threads) {
  const LibraryErrors errors;
  if (ggml_backend_reg_count() == 0) ggml_backend_load_all();
  std::unique_ptr<Backend> out(new Backend);
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  out->threads_ = std::clamp(threads > 0 ? threads : cores, 1, GGML_MAX_N_THREADS);
  out->cpu_.reset(ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, nullptr));
  if (!out->cpu_) return base::fail(base::Code::kUnavailable, "ggml has no CPU back end here: " + errors.first());
  PAYONCE_CHECK_OK(out->start_threads());
  if (!device.empty() && device != "cpu") {
    PAYONCE_TRY(out->device_, open_device(device));
    ggml_backend_t backends[] = {out->device_.get(), out->cpu_.get()};
    out->scheduler_.reset(ggml_backend_sched_new(backends, nullptr, 2, kMaxGraphNodes, false, true));
  }
  return out;
}

Backend::~Backend() {
  scheduler_.reset();
  device_.reset();
  cpu_.reset();
}

base::Status Backend::start_threads() {
  ggml_backend_reg_t registry = ggml_backend_dev_backend_reg(ggml_backend_get_device(cpu_.get()));
  const auto set_threads = procedure<ggml_backend_set_n_threads_t>(registry, "ggml_backend_set_n_threads");
  const auto make_pool = procedure<ggml_threadpool* (*)(ggml_threadpool_params*)>(registry, "ggml_threadpool_new");
  const auto use_pool =
      procedure<void (*)(ggml_backend_t, ggml_threadpool*)>(registry, "ggml_backend_cpu_set_threadpool");
  pool_ = std::make_unique<ThreadPool>();
  pool_->free = procedure<ThreadPool::Free>(registry, "ggml_threadpool_free");
  if (!set_threads || !make_pool || !use_pool || !pool_->free) {
    return base::fail(base::Code::kUnavailable, "ggml's CPU back end has no thread pool");
  }
  ggml_threadpool_params params;
  ggml_threadpool_params_init(&params, threads_);
  params.poll = kPollLevel;
  pool_->pool = make_pool(&params);
  use_pool(cpu_.get(), pool_->pool);
  set_threads(cpu_.get(), threads_);
  return {};
}

ggml_backend_buffer_type_t Backend::buffer_type() const {
  return ggml_backend_get_default_buffer_type(device_ ? device_.get() : cpu_.get());
}

base::Status Backend::lay_out(ggml_context* context, ggml_cgraph* graph) {
  scheduled_ = nullptr;       // a new graph may stand where an old one stood
  if (scheduler_) return {};  // it has one layout at a time, made in prepare()
  return tensors_.lay_out(context, graph);
}

base::Status Backend::prepare(ggml_cgraph* graph) {
  if (!scheduler_ || scheduled_ == graph) return {};
  ggml_backend_sched_reset(scheduler_.get());
  scheduled_ = nullptr;
  if (!ggml_backend_sched_alloc_graph(scheduler_.get(), graph)) {
    return base::fail(base::Code::kExhausted, "the device has no memory for a step's tensors");
  }
  scheduled_ = graph;
  return {};
}

base::Status Backend::compute(ggml_cgraph* graph) {
  const ggml_status status = scheduler_ ? ggml_backend_sched_graph_compute(scheduler_.get(), graph)
                                        : ggml_backend_graph_compute(cpu_.get(), graph);
  if (status == GGML_STATUS_SUCCESS) return {};
  return base::fail(status == GGML_STATUS_ALLOC_FAILED ? base::Code::kExhausted : base::Code::kInternal,
                    fmt::format("the step's graph failed: {}", ggml_status_to_string(status)));
}

}  // namespace payonce::engine
