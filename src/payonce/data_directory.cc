#include "payonce/data_directory.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "seal/reseal.h"
#include "seal/sealed_env.h"

namespace payonce {
namespace {

// The ledger is SQLite's, so that it seals its rows itself (record/ledger_file.h).
const seal::Places& places() {
  static const seal::Places kPlaces{.files = {"salt", "prefix.state", "questions.log"},
                                    .folders = {{"responses", ".log"}, {"kv", ".kvb"}}};
  return kPlaces;
}

}  // namespace

base::Status DataDirectory::open(const std::string& path, const seal::Protection& protection) {
  if (path.empty()) return {};
  PAYONCE_TRY(const seal::Survey survey, seal::survey(plain_, path, places(), protection));
  if (!protection.keys) return {};
  PAYONCE_CHECK_OK(seal::reseal(plain_, path, survey, protection.keys, metrics_));
  sealed_ = std::make_unique<seal::SealedEnv>(plain_, path, protection.keys, metrics_);
  return {};
}

base::Result<std::string> check_data_directory(const config::Settings& settings) {
  base::PosixEnv files;
  PAYONCE_TRY(const seal::Survey survey, seal::survey(files, settings.data_dir, places(), settings.protection));
  if (!settings.protection.keys) return std::string();
  return fmt::format(
      "encryption key {} is good: {} holds {} files sealed under it, {} under older keys, {} not sealed\n",
      base::hex(settings.protection.keys->first().id()), settings.data_dir, survey.sealed, survey.other_key.size(),
      survey.plain.size());
}

}  // namespace payonce
