// Files whose content is the input: every name is there and holds it. What is written stays with the opened file.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/env.h"

namespace payonce::fuzz {

class MemoryFile final : public base::File {
 public:
  explicit MemoryFile(std::string content) : content_(std::move(content)) {}
  base::Status append(std::string_view bytes) override {
    content_.append(bytes);
    return {};
  }
  base::Result<size_t> read_at(uint64_t offset, char* out, size_t size) const override {
    if (offset >= content_.size()) return size_t{0};
    return content_.copy(out, size, static_cast<size_t>(offset));
  }
  base::Result<uint64_t> size() const override { return content_.size(); }
  base::Status sync() override { return {}; }
  base::Status truncate(uint64_t size) override {
    content_.resize(static_cast<size_t>(size));
    return {};
  }

 private:
  std::string content_;
};

class MemoryEnv final : public base::Env {
 public:
  explicit MemoryEnv(std::string content) : content_(std::move(content)) {}
  base::Result<std::unique_ptr<base::File>> open(const std::string&, Mode) override {
    return std::make_unique<MemoryFile>(content_);
  }
  base::Status make_directories(const std::string&) override { return {}; }
  base::Result<std::vector<std::string>> list(const std::string&) const override {
    return std::vector<std::string>();
  }
  base::Status remove(const std::string&) override { return {}; }
  base::Status rename(const std::string&, const std::string&) override { return {}; }
  base::Status sync_directory(const std::string&) override { return {}; }
  bool exists(const std::string&) const override { return true; }

 private:
  const std::string content_;
};

}  // namespace payonce::fuzz
