#include "kv/block_store.h"
namespace payonce::kv { Where BlockStore::where(const BlockHash&) const {return Where::kNone;} void BlockStore::put(StoredBlock){} std::shared_ptr<const StoredBlock> BlockStore::get(const BlockHash&){return nullptr;} ReadCost BlockStore::read_cost(Where) const {return {};} void BlockStore::flush(){} }
