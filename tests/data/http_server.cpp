#include "tests/data/http_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <tuple>
#include <utility>

namespace convoy {
namespace {

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

/// A socket bound to a free port of the loopback.
std::pair<Descriptor, int> bound_socket() {
  Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("no free port");
  }
  return {std::move(socket), ntohs(address.sin_port)};
}

std::string local_url(int port, const std::string& path) {
  return fmt::format("http://127.0.0.1:{}{}", port, path);
}

void send_all(int connection, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;  // the client has gone away
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

/// The head of a request: up to the empty line.
std::string receive_head(int connection) {
  std::string head;
  char chunk[4096];
  while (head.find("\r\n\r\n") == std::string::npos) {
    const ssize_t got = recv(connection, chunk, sizeof chunk, 0);
    if (got <= 0) break;
    head.append(chunk, static_cast<std::size_t>(got));
  }
  return head;
}

Request parse(const std::string& head) {
  Request request;
  const std::size_t begin = head.find(' ') + 1;
  request.path = head.substr(begin, head.find(' ', begin) - begin);
  const std::size_t range = head.find("Range: ");
  if (range != std::string::npos) {
    request.range = head.substr(range + 7, head.find('\r', range) - range - 7);
  }
  return request;
}

/// Status line, headers and body, before anything is broken off.
std::string response(const Page& page, const Request& request) {
  if (!page.location.empty()) {
    return fmt::format(
        "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
        page.location, page.body.size(), page.body);
  }
  std::string_view body = page.body;
  std::string status = fmt::format("{} Whatever", page.status);
  std::string range;
  if (page.status == 200 && page.honours_range && !request.range.empty()) {
    const std::size_t first = std::stoul(request.range.substr(6)) + page.range_error;
    if (first >= body.size()) return "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n";
    status = "206 Partial Content";
    range = fmt::format("Content-Range: bytes {}-{}/{}\r\n", first, body.size() - 1, body.size());
    body.remove_prefix(first);
  }
  return fmt::format("HTTP/1.1 {}\r\n{}Content-Length: {}\r\nConnection: close\r\n\r\n{}", status, range,
                     body.size(), body);
}

}  // namespace

HttpServer::HttpServer() {
  setenv("no_proxy", "127.0.0.1", 1);  // the environment's proxy, if any, does not see this host
  std::tie(listener_, port_) = bound_socket();
  int ends[2];
  if (listen(listener_.get(), 16) != 0 || pipe(ends) != 0) throw std::runtime_error("no server");
  stop_read_ = Descriptor(ends[0]);
  stop_write_ = Descriptor(ends[1]);
  thread_ = std::thread([this] { serve(); });
}

HttpServer::~HttpServer() {
  stop_write_ = Descriptor(-1);
  thread_.join();
}

void HttpServer::put(const std::string& path, Page page) {
  const std::lock_guard lock(mutex_);
  pages_[path] = std::move(page);
}

std::string HttpServer::url(const std::string& path) const { return local_url(port_, path); }

std::vector<Request> HttpServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void HttpServer::serve() {
  for (;;) {
    pollfd events[] = {{listener_.get(), POLLIN, 0}, {stop_read_.get(), POLLIN, 0}};
    if (poll(events, 2, -1) < 0 || events[1].revents != 0) return;
    const Descriptor connection(accept(listener_.get(), nullptr, nullptr));
    if (connection.get() >= 0) answer(connection.get());
  }
}

void HttpServer::answer(int connection) {
  const Request request = parse(receive_head(connection));
  Page page{.body = "not here", .status = 404};
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
    if (const auto found = pages_.find(request.path); found != pages_.end()) page = found->second;
  }
  if (page.silent) {  // until the client gives up
    pollfd events[] = {{connection, POLLIN, 0}, {stop_read_.get(), POLLIN, 0}};
    poll(events, 2, -1);
    return;
  }
  const std::string whole = response(page, request);
  const std::size_t head = whole.find("\r\n\r\n") + 4;
  send_all(connection, page.breaks_off_after ? whole.substr(0, head + *page.breaks_off_after) : whole);
}

int closed_port() { return bound_socket().second; }

DeafHost::DeafHost() {
  setenv("no_proxy", "127.0.0.1", 1);
  std::tie(listener_, port_) = bound_socket();
  if (listen(listener_.get(), 0) != 0) throw std::runtime_error("no server");
  const sockaddr_in address = loopback(port_);
  for (int i = 0; i < 4; ++i) {  // one fits into the queue; the others show that it is full
    waiting_.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    connect(waiting_.back().get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }
}

std::string DeafHost::url(const std::string& path) const { return local_url(port_, path); }

}  // namespace convoy
