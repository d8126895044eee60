#include "payonce/engine_parts.h"

#include <fmt/format.h>
#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <llama.h>

#include <array>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/cpu.h"
#include "base/log.h"
#include "kv/block_hash.h"
#include "payonce/public_prefix.h"

namespace payonce {
namespace {

constexpr size_t kWorkers = 2;

engine::KvType kv_type_of(const config::EngineSettings& settings) {
  return settings.kv_type == "q8_0" ? engine::KvType::kQ8_0 : engine::KvType::kF16;
}

engine::Exactness exactness_of(const config::EngineSettings& settings) {
  return settings.exact ? engine::Exactness::kAlways : engine::Exactness::kWhereFree;
}

// "1.9 GiB", for people.
std::string readable_size(uint64_t bytes) {
  return bytes >= 1ull << 30 ? fmt::format("{:.1f} GiB", static_cast<double>(bytes) / (1 << 30))
                             : fmt::format("{:.0f} MiB", static_cast<double>(bytes) / (1 << 20));
}

// general.license of the file, as its maker wrote it.
std::string licence_of(const engine::Vocab& vocab) {
  std::array<char, 128> text{};
  const int32_t size = llama_model_meta_val_str(vocab.llama(), "general.license", text.data(), text.size());
  return size > 0 ? "licence " + std::string(text.data()) : "licence not named";
}

void log_model(const engine::ModelInfo& info, const std::string& licence) {
  base::log_info("model {} ({}, {:.0f} M parameters, {}), {}: {}", info.name, info.architecture,
                 static_cast<double>(info.parameters) / 1e6, licence, readable_size(info.file_bytes), info.file);
}

void log_pool(const PoolSizes& sizes, const config::EngineSettings& settings) {
  const std::string sliding =
      sizes.sliding_blocks > 0 ? fmt::format(" and {} of sliding layers", sizes.sliding_blocks) : "";
  base::log_info("KV pool: {} blocks{}, {} tokens as {} in {}; longest context {} tokens", sizes.full_blocks, sliding,
                 int64_t{sizes.full_blocks} * kv::kBlockTokens, settings.kv_type, readable_size(sizes.bytes),
                 sizes.context_tokens);
}

base::Result<std::vector<std::vector<int32_t>>> public_prefixes(const config::EngineSettings& settings,
                                                                const engine::ChatTemplate& chat,
                                                                const engine::VocabPort& vocab, base::Env& env) {
  std::vector<std::vector<int32_t>> out;
  for (const std::string& file : settings.public_prefix_files) {
    PAYONCE_TRY(const std::string system, base::read_file(env, file));
    auto tokens = public_prefix_tokens(system, chat, vocab);
    if (!tokens) return base::fail(tokens.error().code, fmt::format("{}: {}", file, tokens.error().message));
    base::log_info("public prefix {}: {} tokens", file, tokens->size());
    out.push_back(*std::move(tokens));
  }
  return out;
}

// Blocks can be read by this model alone, kept this way.
std::string root_of(const engine::Model& model) { return model.info().digest + "/" + model.layout(); }

engine::EngineOptions engine_options(const config::EngineSettings& settings, const PoolSizes& sizes,
                                     const engine::Model& model) {
  engine::EngineOptions options;
  options.full_blocks = sizes.full_blocks;
  options.sliding_blocks = sizes.sliding_blocks;
  options.window = model.info().window;
  options.context_tokens = sizes.context_tokens;
  options.max_batch = settings.max_batch;
  options.prefill_chunk = settings.prefill_chunk;
  options.max_queue = settings.max_queue;
  options.root = root_of(model);
  return options;
}

// The tiers behind the pool: memory, and a disk if there is a directory for it. A directory that cannot be used costs
// the disk tier alone.
std::unique_ptr<kv::BlockStore> open_store(const config::EngineSettings& settings, const std::string& kv_directory,
                                           const engine::Model& model, EngineParts::Surroundings around) {
  const bool on_disk = !kv_directory.empty() && settings.kv_disk_bytes > 0;
  if (!on_disk && settings.kv_ram_bytes == 0) return nullptr;
  kv::BlockStore::Options options;
  options.memory_bytes = settings.kv_ram_bytes;
  options.directory = on_disk ? kv_directory : "";
  options.disk_bytes = settings.kv_disk_bytes;
  options.fingerprint = root_of(model);
  return kv::BlockStore::open(options, around.data, around.clock, around.metrics);
}

#ifdef PAYONCE_BACKENDS
// In a package ggml's code for the CPU lies beside the program, once for each generation of CPUs; ggml takes the
// best.
base::Status load_back_ends() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto folder = (program.parent_path() / PAYONCE_BACKENDS).lexically_normal();
  ggml_backend_load_all_from_path(folder.c_str());
  if (ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) != nullptr) return {};
  return base::fail(
      base::Code::kUnavailable,
      fmt::format("no code for this CPU in {}; install or unpack the package as a whole", folder.string()));
}
#else
// Here it was compiled for the CPU that built it; another would end the process by an illegal instruction.
base::Status load_back_ends() {
  const base::CpuFeatures& cpu = base::cpu();
  const bool needs_more = (ggml_cpu_has_avx2() != 0 && !cpu.avx2) || (ggml_cpu_has_fma() != 0 && !cpu.fma) ||
                          (ggml_cpu_has_f16c() != 0 && !cpu.f16c) || (ggml_cpu_has_avx512() != 0 && !cpu.avx512f) ||
                          (ggml_cpu_has_avx512_vnni() != 0 && !cpu.avx512vnni);
  if (needs_more)
    return base::fail(base::Code::kUnavailable,
                      "the engine was built for a newer CPU than this one; build it here (./dev build), or take a "
                      "package, which runs on both");
  return {};
}
#endif

}  // namespace

base::Result<engine::Model::Probe> EngineParts::probe(const config::Settings& settings) {
  auto probe = engine::Model::probe(settings.model_file, kv_type_of(settings.engine));
  if (!probe)
    probe.error().message += probe.error().code == base::Code::kNotFound
                                 ? "; `./dev run` fetches the default model, --model FILE names another"
                                 : "; get the file anew, or name another with --model FILE";
  return probe;
}

base::Result<std::unique_ptr<EngineParts>> EngineParts::make(const config::Settings& settings,
                                                             const engine::Model::Probe& probe,
                                                             const std::string& kv_directory, Surroundings around) {
  const config::EngineSettings& wanted = settings.engine;
  std::string template_source;
  if (!wanted.chat_template_file.empty()) {
    PAYONCE_TRY(template_source, base::read_file(around.env, wanted.chat_template_file));
  }
  PAYONCE_CHECK_OK(load_back_ends());
  std::unique_ptr<EngineParts> out(new EngineParts);
  const BlockCosts costs{.full_block_bytes = probe.full_block_bytes,
                         .sliding_block_bytes = probe.sliding_block_bytes,
                         .window = probe.info.window,
                         .context_tokens = probe.info.context_tokens};
  PAYONCE_TRY(out->sizes_, pool_sizes(costs, wanted, machine_memory_bytes()));
  PAYONCE_TRY(out->vocab_, engine::Vocab::load(settings.model_file));
  log_model(probe.info, licence_of(*out->vocab_));
  log_pool(out->sizes_, wanted);
  PAYONCE_TRY(out->model_, engine::Model::load(settings.model_file, {.threads = wanted.threads,
                                                                     .full_blocks = out->sizes_.full_blocks,
                                                                     .sliding_blocks = out->sizes_.sliding_blocks,
                                                                     .kv_type = kv_type_of(wanted),
                                                                     .device = wanted.device,
                                                                     .exactness = exactness_of(wanted)}));
  base::log_info("{}", out->model_->exact() ? "results do not depend on what else is computed at the time"
                                            : "near ties may fall either way beside other requests; --exact prevents "
                                              "it");
  PAYONCE_TRY(out->chat_, engine::ChatTemplate::make(*out->vocab_, template_source));
  out->store_ = open_store(wanted, kv_directory, *out->model_, around);
  engine::EngineOptions options = engine_options(wanted, out->sizes_, *out->model_);
  PAYONCE_TRY(options.public_prefixes,
              public_prefixes(wanted, *out->chat_, engine::port_of(*out->vocab_), around.env));
  out->engine_ = std::make_unique<engine::Engine>(engine::Engine::Parts{.executor = *out->model_,
                                                                        .vocab = out->vocab_.get(),
                                                                        .store = out->store_.get(),
                                                                        .clock = around.clock,
                                                                        .metrics = around.metrics},
                                                  std::move(options));
  out->pool_ = std::make_unique<base::WorkerPool>(base::WorkerPool::Options{.threads = kWorkers, .waited_for = true});
  out->api_ = std::make_unique<engine::Api>(engine::Api::Parts{.engine = engine::port_of(*out->engine_),
                                                               .vocab = engine::port_of(*out->vocab_),
                                                               .chat = *out->chat_,
                                                               .model = out->model_->info(),
                                                               .pool = *out->pool_,
                                                               .clock = around.clock},
                                            engine::ApiLimits{}, out->sizes_.context_tokens);
  return out;
}

}  // namespace payonce
