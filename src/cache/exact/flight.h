// Single-flight: one upstream call for all equal requests in progress. A Flight is the recording of an answer while it
// arrives; the leader and its followers are all its readers, from byte 0, each at its own speed.
// Threads: all any; a wake-up is called outside locks, on the appending thread: it must only post to the reader's loop.
#pragma once

#include <cstdint>
#include <functional>
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
    bool keep = true;                         // keep all chunks from 0 (recordable); false: freed once all readers have them
    uint64_t keep_limit_bytes = 8u << 20;     // beyond it keep turns false: not stored, no new followers
    uint64_t lag_limit_bytes = 1u << 20;      // not keeping: the writer should pause while the slowest lags more
  };
  explicit Flight(Options options);

  using Wake = std::function<void()>;
  using ReaderId = uint64_t;
  // A new reader at byte 0; nullopt when that is no longer possible (bytes gone, failed, or abandoned).
  std::optional<ReaderId> join(Wake wake);
  // The reader left. True: it was the last one and the answer is not complete: cancel the upstream.
  [[nodiscard]] bool leave(ReaderId reader);

  struct Progress {
    State state = State::kWaiting;
    std::shared_ptr<const net::ResponseHead> head;  // once streaming
    std::vector<base::Bytes> chunks;                // new ones for this reader
    base::Error error;                              // kFailed
    bool sent_any = false;                          // this reader was given bytes of a body or a head before
  };
  Progress take(ReaderId reader);

  // Writer's side.
  void head(net::ResponseHead head);
  void append(base::Bytes chunk, uint32_t at_ms);  // ms after the first byte
  void finish();
  void fail(base::Error error);
  bool writer_should_pause() const;
  void on_writer_resume(Wake wake);  // called when the slowest reader has caught up
  bool recordable() const;           // keeps everything
  size_t readers() const;
  // The whole recording; valid after finish() when recordable(). Moves nothing.
  struct Recording {
    net::ResponseHead head;
    std::string body;
    std::vector<uint32_t> pace_ms, pace_offset;
  };
  Recording recording() const;

 private:
  struct Reader;
  mutable std::mutex mutex_;
  struct Data;
  std::shared_ptr<Data> data_;
};

// Flights by key. join_or_lead() gives the flight in progress, or makes one and says that the caller leads.
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
  std::unordered_map<std::string, std::shared_ptr<Flight>> flights_;
};

}  // namespace payonce::cache
