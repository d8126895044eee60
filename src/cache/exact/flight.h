// Single-flight: one upstream call for all equal requests in progress. A Flight is the recording of an answer while
// it arrives; the leader and its followers are all its readers, from byte 0, each at its own speed. Threads: all any;
// a wake-up is called outside locks, on the thread of the change: it must only post to the reader's loop, or act at
// once when it is on that loop already.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "net/message.h"

namespace payonce::cache {

class Flight {
 public:
  enum class State { kWaiting, kStreaming, kDone, kFailed };
  struct Options {
    bool keep = true;  // keep all chunks from 0 (recordable); false: freed once all readers have them
    uint64_t keep_limit_bytes = 8u << 20;  // beyond it keep turns false: not stored, no new followers
    uint64_t lag_limit_bytes = 1u << 20;   // the writer should pause while the slowest reader lags more
  };
  explicit Flight(Options options) : options_(options) {}

  using Wake = std::function<void()>;
  using ReaderId = uint64_t;
  // A new reader at byte 0; nullopt when that is no longer possible (bytes gone, failed, or abandoned).
  std::optional<ReaderId> join(Wake wake);
  // The reader left. When it was the last one and the answer is not complete, on_abandoned's wake is called.
  void leave(ReaderId reader);

  struct Progress {
    State state = State::kWaiting;
    std::shared_ptr<const net::ResponseHead> head;  // once streaming
    std::vector<base::Bytes> chunks;                // new ones for this reader
    base::Error error;                              // kFailed
    bool stored = false;                            // will be, or (kDone) has been, stored
  };
  Progress take(ReaderId reader);

  // Writer's side.
  void head(net::ResponseHead head);
  void append(base::Bytes chunk, uint32_t at_ms);  // ms after the first byte; readers learn of it by wake()
  void wake();
  void mark_stored(bool stored);
  void finish();
  void fail(base::Error error);
  bool writer_should_pause() const;
  void on_writer_resume(Wake wake);  // called once, when the slowest reader has caught up
  void on_abandoned(Wake wake);      // called once, when the last reader left an answer that is not complete
  bool recordable() const;           // keeps everything
  uint64_t size_bytes() const;       // of the answer so far
  // The whole recording; valid when recordable(). A copy.
  struct Recording {
    net::ResponseHead head;
    std::string body;
    std::vector<uint32_t> pace_ms, pace_offset;
  };
  Recording recording() const;

 private:
  struct Reader {
    size_t next = 0;  // chunk, counted from the first of the answer
    uint64_t taken_bytes = 0;
    Wake wake;
  };
  struct Chunk {
    base::Bytes bytes;
    uint32_t at_ms;
  };
  bool over() const { return state_ == State::kDone || state_ == State::kFailed; }
  uint64_t lag_bytes() const;
  void drop_read_chunks();

  const Options options_;
  mutable std::mutex mutex_;  // guards all below
  State state_ = State::kWaiting;
  std::shared_ptr<const net::ResponseHead> head_;
  std::vector<Chunk> chunks_;
  size_t dropped_ = 0;  // chunks no longer held
  uint64_t total_bytes_ = 0;
  bool keep_ = options_.keep;
  bool abandoned_ = false;
  bool stored_ = false;
  base::Error error_;
  std::map<ReaderId, Reader> readers_;
  ReaderId next_reader_ = 1;
  Wake resume_;
  Wake abandon_;
};

// Flights by key. join_or_lead() gives the flight in progress, or makes one and says that the caller leads.
// Threads: all any.
class FlightTable {
 public:
  struct Joined {
    std::shared_ptr<Flight> flight;
    Flight::ReaderId reader = 0;
    bool leader = false;
  };
  Joined join_or_lead(const std::string& key, const Flight::Options& options, Flight::Wake wake);
  void remove(const std::string& key, const Flight* flight);  // when done or failed; later equal requests start anew
  size_t size() const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<Flight>> flights_;  // guarded by mutex_
};

}  // namespace payonce::cache
