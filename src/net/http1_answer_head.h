// Reads the head of an HTTP/1.1 answer, as it comes, straight into Headers.  Threads: a value.
#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <cstdint>
#include <utility>

#include "net/headers.h"

namespace payonce::net {

class Http1AnswerHead final : public boost::beast::http::basic_parser<false> {
 public:
  int status() const { return status_; }
  bool is_http_1_1() const { return version_ == 11; }
  Headers take_fields() { return std::move(fields_); }

 private:
  using Code = boost::beast::error_code;
  using Text = boost::beast::string_view;
  void on_response_impl(int status, Text, int version, Code&) override {
    status_ = status;
    version_ = version;
  }
  void on_field_impl(boost::beast::http::field, Text name, Text value, Code&) override { fields_.add(name, value); }
  // Of a request; and of the body, which is not this parser's.
  void on_request_impl(boost::beast::http::verb, Text, Text, int, Code&) override {}
  void on_header_impl(Code&) override {}
  void on_body_init_impl(const boost::optional<uint64_t>&, Code&) override {}
  size_t on_body_impl(Text, Code&) override { return 0; }
  void on_chunk_header_impl(uint64_t, Text, Code&) override {}
  size_t on_chunk_body_impl(uint64_t, Text, Code&) override { return 0; }
  void on_finish_impl(Code&) override {}

  int status_ = 0, version_ = 0;
  Headers fields_;
};

}  // namespace payonce::net
