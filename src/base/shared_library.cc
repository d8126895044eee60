#include "base/shared_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <utility>

namespace payonce::base {

SharedLibrary::SharedLibrary(std::string name)
    : name_(std::move(name)), handle_(dlopen(name_.c_str(), RTLD_NOW | RTLD_LOCAL)) {
  if (handle_ == nullptr) fault_ = dlerror();
}

SharedLibrary::Symbol SharedLibrary::find(const char* symbol) {
  void* const address = handle_ == nullptr ? nullptr : dlsym(handle_, symbol);
  if (address == nullptr && fault_.empty()) fault_ = fmt::format("it has no {}", symbol);
  return Symbol(address);
}

Status SharedLibrary::fault() const {
  if (fault_.empty()) return {};
  return fail(Code::kUnavailable, fmt::format("the library {} cannot be used: {}", name_, fault_));
}

}  // namespace payonce::base
