// What ggml, libllama and llama.cpp's common library would print. They log to standard error by default; we stay
// quiet and keep the error lines of a call, to put them into our own message. Threads: any; an object keeps the lines
// of the thread that made it.
#pragma once

#include <string>

namespace payonce::engine {

// Replaces the libraries' loggers; later calls do nothing. Every entry into a library of ours calls it first.
void quiet_libraries();

class LibraryErrors {
 public:
  LibraryErrors();
  ~LibraryErrors();
  LibraryErrors(const LibraryErrors&) = delete;
  LibraryErrors& operator=(const LibraryErrors&) = delete;
  // The first line that a library reported since construction, without the name of its function: the later ones
  // repeat it in other words. Empty: none.
  std::string first() const;

 private:
  std::string lines_;
  std::string* outer_;
};

}  // namespace payonce::engine
