// A small HTTP server on the loopback that misbehaves as it is told, for the tests of downloads.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "engine/core/file.h"

namespace convoy {

/// How a page is served.
struct Page {
  std::string body;
  int status = 200;
  bool honours_range = true;
  std::size_t range_error = 0;  // answers a range with one that begins so much later
  std::optional<std::size_t> breaks_off_after =
      {};                     // closes the connection after so many bytes of the answer
  bool silent = false;        // takes the request and never answers
  std::string location = {};  // for a redirection
};

struct Request {
  std::string path;
  std::string range;  // "bytes=5-", or empty

  bool operator==(const Request&) const = default;
};

class HttpServer {
 public:
  HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer();

  void put(const std::string& path, Page page);
  std::string url(const std::string& path) const;
  std::vector<Request> requests() const;

 private:
  void serve();
  void answer(int connection);

  Descriptor listener_;
  Descriptor stop_read_, stop_write_;  // a pipe: closing its end stops the thread
  int port_ = 0;
  mutable std::mutex mutex_;
  std::map<std::string, Page> pages_;
  std::vector<Request> requests_;
  std::thread thread_;
};

/// A port of the loopback that nobody listens on: connections are refused.
int closed_port();

/// A port whose queue of connections is full: connecting gets no answer, as with a host that is gone.
class DeafHost {
 public:
  DeafHost();
  std::string url(const std::string& path) const;

 private:
  Descriptor listener_;
  std::vector<Descriptor> waiting_;
  int port_ = 0;
};

}  // namespace convoy
