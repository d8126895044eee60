#include "semantic/verifier/trees.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>

#include "base/hash.h"
#include "base/little_endian.h"

namespace payonce::semantic {
namespace {

constexpr std::string_view kMagic = "PAYOTREE";
constexpr uint32_t kVersion = 1;
constexpr size_t kDigestBytes = 32;
constexpr uint32_t kMaxTrees = 4096;
constexpr uint16_t kMaxLeaves = 1024;

tl::unexpected<base::Error> corrupt(std::string what) {
  return base::fail(base::Code::kCorrupt,
                    "verifier model: " + std::move(what) + "; train it again or take the built-in one");
}

}  // namespace

// Reads the body of a model whose checksum is right. What it names is checked all the same: a checksum is no proof of
// a careful writer.
class TreesParser {
 public:
  explicit TreesParser(std::string_view body) : reader_(body) {}

  base::Result<Trees> run(std::span<const std::string_view> names) {
    (void)reader_.text(kMagic.size());
    const auto version = reader_.number<uint32_t>();
    if (version != kVersion) return corrupt(fmt::format("expected version {}, found {}", kVersion, version));
    PAYONCE_CHECK_OK(read_names(names));
    out_.scale_ = real();
    out_.offset_ = real();
    if (!std::isfinite(out_.scale_) || !std::isfinite(out_.offset_)) return corrupt("its calibration is not finite");
    const auto count = reader_.number<uint32_t>();
    if (count > kMaxTrees) return corrupt(fmt::format("expected at most {} trees, found {}", kMaxTrees, count));
    for (uint32_t i = 0; i < count; ++i) PAYONCE_CHECK_OK(read_tree(i, names.size()));
    if (!reader_.ok()) return corrupt("it ends early");
    if (!reader_.at_end()) return corrupt("bytes follow its last tree");
    return std::move(out_);
  }

 private:
  double real() { return std::bit_cast<double>(reader_.number<uint64_t>()); }

  base::Status read_names(std::span<const std::string_view> names) {
    const auto count = reader_.number<uint16_t>();
    if (count != names.size())
      return base::fail(base::Code::kInvalid,
                        fmt::format("verifier model: made for {} features, this program has {}; "
                                    "train it again",
                                    count, names.size()));
    for (const std::string_view name : names) {
      const std::string_view found = reader_.text(reader_.number<uint8_t>());
      if (found != name)
        return base::fail(base::Code::kInvalid,
                          fmt::format("verifier model: expected feature '{}', found {} bytes of "
                                      "another name; train it again",
                                      name, found.size()));
    }
    return {};
  }

  base::Status read_tree(uint32_t index, size_t features) {
    const auto leaves = reader_.number<uint16_t>();
    if (!reader_.ok() || leaves == 0 || leaves > kMaxLeaves)
      return corrupt(fmt::format("tree {}: expected 1 to {} leaves, found {}", index, kMaxLeaves, leaves));
    const int nodes = leaves - 1;
    out_.trees_.push_back(
        {static_cast<uint32_t>(out_.nodes_.size()), static_cast<uint32_t>(out_.leaves_.size()), nodes == 0});
    for (int i = 0; i < nodes; ++i) {
      Trees::Node node;
      node.feature = reader_.number<uint16_t>();
      node.missing_left = reader_.number<uint8_t>();
      node.threshold = std::bit_cast<float>(reader_.number<uint32_t>());
      node.left = reader_.number<int16_t>();
      node.right = reader_.number<int16_t>();
      // Children come behind their parent, so that every walk ends.
      const auto sound = [&](int child) { return child < 0 ? -child <= leaves : child > i && child < nodes; };
      if (node.feature >= features || node.missing_left > 1 || std::isnan(node.threshold) || !sound(node.left) ||
          !sound(node.right))
        return corrupt(fmt::format("tree {}: node {} names a feature or a child that it does not have", index, i));
      out_.nodes_.push_back(node);
    }
    for (int i = 0; i < leaves; ++i) {
      out_.leaves_.push_back(real());
      if (!std::isfinite(out_.leaves_.back()))
        return corrupt(fmt::format("tree {}: leaf {} is not finite", index, i));
    }
    return {};
  }

  base::NumberReader reader_;
  Trees out_;
};

base::Result<Trees> Trees::parse(std::string_view bytes, std::span<const std::string_view> names) {
  if (bytes.size() > kMaxModelBytes)
    return corrupt(fmt::format("expected at most {} bytes, found {}", kMaxModelBytes, bytes.size()));
  if (!bytes.starts_with(kMagic)) return corrupt(fmt::format("expected a file that begins with '{}'", kMagic));
  if (bytes.size() < kMagic.size() + kDigestBytes) return corrupt("it ends early");
  const std::string_view body = bytes.substr(0, bytes.size() - kDigestBytes);
  const base::Digest digest = base::sha256(body);
  const std::string_view found = bytes.substr(body.size());
  if (std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()) != found)
    return corrupt("its checksum is wrong, so its bytes have changed");
  auto trees = TreesParser(body).run(names);
  if (trees) trees->digest_ = base::hex(digest);
  return trees;
}

double Trees::sum(std::span<const float> values) const {
  double out = 0;
  for (const Tree& tree : trees_) {
    int at = tree.leaf_only ? -1 : 0;
    while (at >= 0) {
      const Node& node = nodes_[tree.first_node + static_cast<uint32_t>(at)];
      const float value = values[node.feature];
      const bool left = std::isnan(value) ? node.missing_left != 0 : value <= node.threshold;
      at = left ? node.left : node.right;
    }
    out += leaves_[tree.first_leaf + static_cast<uint32_t>(-at - 1)];
  }
  return out;
}

}  // namespace payonce::semantic
