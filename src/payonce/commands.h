// The commands, one function each: adds itself to the application and, when chosen, runs and sets the exit status
// (0 done, 1 failed, 2 wrong usage).
#pragma once

namespace CLI {
class App;
}

namespace payonce {

void add_serve(CLI::App& app, int& status);
void add_up(CLI::App& app, int& status);
void add_engine(CLI::App& app, int& status);
void add_cache(CLI::App& app, int& status);
void add_audit(CLI::App& app, int& status);
void add_demo(CLI::App& app, int& status);
void add_key(CLI::App& app, int& status);
void add_lint(CLI::App& app, int& status);
void add_mcp(CLI::App& app, int& status);

}  // namespace payonce
