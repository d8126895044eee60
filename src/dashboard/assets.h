// The files of the page, compiled into the program: `/` and /dashboard/….  Threads: any.
#pragma once

#include <memory>
#include <string_view>

#include "net/server.h"

namespace payonce::dashboard {

// True for `/` and all below /dashboard/.
bool is_asset_path(std::string_view path);
// Answers GET and HEAD: 200, 304 where If-None-Match names what it has, 404.
void serve_asset(net::Exchange& exchange, std::string_view path);

}  // namespace payonce::dashboard
