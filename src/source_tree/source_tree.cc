#include "source_tree/source_tree.h"

namespace payonce::source_tree {

std::string path(std::string_view name) { return std::string(PAYONCE_SOURCE_DIR "/").append(name); }

}  // namespace payonce::source_tree
