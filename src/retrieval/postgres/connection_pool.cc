#include "retrieval/postgres/connection_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "retrieval/postgres/libpq.h"

namespace payonce::retrieval {
namespace {

struct Clearer {
  void operator()(PGresult* result) const { libpq().clear(result); }
};

std::string first_line(const char* text) {
  const std::string_view all = text == nullptr ? "" : text;
  return std::string(all.substr(0, all.find('\n')));
}

// SQLSTATE classes: 22 data, 42 syntax or access (no such table, column, right), 57014 time-out.
base::Code code_of(std::string_view state) {
  if (state == "57014") return base::Code::kTimeout;
  return state.starts_with("22") || state.starts_with("42") ? base::Code::kInvalid : base::Code::kUnavailable;
}

}  // namespace

void ConnectionPool::Closer::operator()(pg_conn* connection) const { libpq().finish(connection); }

ConnectionPool::ConnectionPool(Options options) : options_(std::move(options)) {}
ConnectionPool::~ConnectionPool() = default;

base::Result<ConnectionPool::Connection> ConnectionPool::take() {
  const Libpq& pq = libpq();
  PAYONCE_CHECK_OK(pq.library.fault());
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      Connection out = std::move(idle_.back());
      idle_.pop_back();
      return out;
    }
  }
  const std::string timeout = std::to_string(std::max<int64_t>(1, options_.connect_timeout_ms / 1000));
  const std::string settings =
      fmt::format("-c default_transaction_read_only=on -c statement_timeout={}", options_.statement_timeout_ms);
  // The connection string first, since what comes after it counts more.
  std::vector<const char*> names = {"dbname", "connect_timeout", "application_name", "options", "client_encoding"};
  std::vector<const char*> values = {options_.connection.c_str(), timeout.c_str(), "payonce", settings.c_str(),
                                     "UTF8"};
  if (!options_.password.empty()) {
    names.push_back("password");
    values.push_back(options_.password.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  Connection out(pq.connect(names.data(), values.data(), 1));
  if (pq.status(out.get()) != CONNECTION_OK)
    return base::fail(base::Code::kUnavailable,
                      fmt::format("PostgreSQL: {}", first_line(pq.error_message(out.get()))));
  return out;
}

base::Result<std::string> ConnectionPool::search(const Statement& statement) {
  const Libpq& pq = libpq();
  std::vector<const char*> values;
  for (const std::string& value : statement.parameters) values.push_back(value.c_str());
  for (int attempt = 0;; ++attempt) {
    PAYONCE_TRY(Connection connection, take());
    const std::unique_ptr<PGresult, Clearer> result(pq.exec(connection.get(), statement.sql.c_str(),
                                                            static_cast<int>(values.size()), nullptr, values.data(),
                                                            nullptr, nullptr, 0));
    if (pq.result_status(result.get()) != PGRES_TUPLES_OK) {
      const bool lost = pq.status(connection.get()) != CONNECTION_OK;
      if (lost && attempt == 0) {  // it was idle while the server went away: every idle one is as old
        const std::lock_guard lock(mutex_);
        idle_.clear();
        continue;
      }
      const char* state = pq.result_error_field(result.get(), PG_DIAG_SQLSTATE);
      const char* primary = pq.result_error_field(result.get(), PG_DIAG_MESSAGE_PRIMARY);
      auto error = base::fail(
          code_of(state == nullptr ? "" : state),
          fmt::format("PostgreSQL: {}",
                      primary != nullptr ? std::string(primary) : first_line(pq.error_message(connection.get()))));
      if (!lost) {
        const std::lock_guard lock(mutex_);
        idle_.push_back(std::move(connection));
      }
      return error;
    }
    std::string out = R"({"rows":[)";
    for (int row = 0; row < pq.rows(result.get()); ++row) {
      if (row > 0) out += ',';
      out.append(pq.value(result.get(), row, 0), static_cast<size_t>(pq.length(result.get(), row, 0)));
    }
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(connection));
    return out + "]}";
  }
}

}  // namespace payonce::retrieval
