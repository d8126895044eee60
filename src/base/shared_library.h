// A shared library that is loaded when it is first used: what few need (PostgreSQL's client comes with Kerberos, LDAP
// and GnuTLS) takes neither memory nor time at start from the others. It is never unloaded.
//
// A table of what is used, in one place, made once:
//   struct Zlib {
//     base::SharedLibrary library{"libz.so.1"};
//     decltype(&::zlibVersion) version = library.find("zlibVersion");
//   };
// Threads: any.  Errors: whatever is missing leaves null pointers and is told by fault().
#pragma once

#include <string>
#include <type_traits>

#include "base/result.h"

namespace payonce::base {

class SharedLibrary {
 public:
  // What a name stands for; becomes a pointer to whatever kind of function it is assigned to.
  class Symbol {
   public:
    explicit Symbol(void* address) : address_(address) {}
    template <class Function>
      requires std::is_function_v<Function>
    operator Function*() const {
      return reinterpret_cast<Function*>(address_);
    }

   private:
    void* address_;
  };

  explicit SharedLibrary(std::string name);  // as the loader knows it: "libpq.so.5"

  Symbol find(const char* symbol);
  // kUnavailable with what is missing, once everything has been asked for.
  Status fault() const;

 private:
  std::string name_, fault_;
  void* handle_;
};

}  // namespace payonce::base
