#include "engine/data/download.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <exception>
#include <memory>

#include "convoy/error.h"

namespace convoy {
namespace {

using Curl = std::unique_ptr<CURL, decltype([](CURL* handle) { curl_easy_cleanup(handle); })>;

constexpr long kPartialContent = 206;
constexpr long kRangeNotSatisfiable = 416;

/// The data that libcurl's callbacks share. C code calls them, so their exceptions are kept here meanwhile.
struct Transfer {
  CURL* handle;
  const RemoteFile& file;
  PartFile& part;
  const FetchOptions& options;
  std::int64_t offset;  // of the body in the file: the bytes that the part held before
  bool body_begun = false;
  std::string refusal;  // why the server's answer was refused
  std::exception_ptr thrown;
};

long status_of(CURL* handle) {
  long status = 0;
  static_cast<void>(curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status));
  return status;
}

bool continues_at(CURL* handle, std::int64_t offset) {
  curl_header* range = nullptr;
  if (curl_easy_header(handle, "Content-Range", 0, CURLH_HEADER, -1, &range) != CURLHE_OK) return false;
  return std::string_view(range->value).starts_with(fmt::format("bytes {}-", offset));
}

/// Decides by the status and headers whether the body may be appended to the part. Returns why not, or "".
std::string accept_answer(Transfer& transfer) {
  const long status = status_of(transfer.handle);
  if (status == 200) {
    if (transfer.offset > 0) transfer.part.clear();  // the server ignored the range and sends the whole file
    transfer.offset = 0;
    return {};
  }
  if (status == kPartialContent && continues_at(transfer.handle, transfer.offset)) return {};
  if (status == kPartialContent || status == kRangeNotSatisfiable) transfer.part.clear();
  return status == kPartialContent ? "answers with another range than was asked for"
                                   : fmt::format("HTTP status {}", status);
}

std::size_t write_body(const char* data, std::size_t, std::size_t size, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  try {
    if (!transfer.body_begun) {
      transfer.body_begun = true;
      transfer.refusal = accept_answer(transfer);
      if (!transfer.refusal.empty()) return CURL_WRITEFUNC_ERROR;
    }
    const std::int64_t limit = transfer.file.bytes;
    if (limit > 0 && transfer.part.bytes() + static_cast<std::int64_t>(size) > limit) {
      transfer.part.clear();
      transfer.refusal = fmt::format("sends more than the expected {} bytes", limit);
      return CURL_WRITEFUNC_ERROR;
    }
    transfer.part.append({reinterpret_cast<const std::uint8_t*>(data), size});
    return size;
  } catch (...) {
    transfer.thrown = std::current_exception();
    return CURL_WRITEFUNC_ERROR;
  }
}

int report_progress(void* context, curl_off_t total, curl_off_t, curl_off_t, curl_off_t) {
  auto& transfer = *static_cast<Transfer*>(context);
  if (!transfer.options.progress || !transfer.body_begun) return 0;
  try {
    const std::int64_t expected = transfer.file.bytes > 0 ? transfer.file.bytes : transfer.offset + total;
    transfer.options.progress(transfer.file.name, transfer.part.bytes(), expected);
    return 0;
  } catch (...) {
    transfer.thrown = std::current_exception();
    return 1;
  }
}

template <typename Value>
void set(CURL* handle, CURLoption option, Value value) {
  const CURLcode code = curl_easy_setopt(handle, option, value);
  if (code != CURLE_OK) throw Error(fmt::format("libcurl refuses an option: {}", curl_easy_strerror(code)));
}

void configure(Transfer& transfer, const std::string& url, char* message) {
  CURL* handle = transfer.handle;
  set(handle, CURLOPT_ERRORBUFFER, message);
  set(handle, CURLOPT_URL, url.c_str());
  set(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  set(handle, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  set(handle, CURLOPT_FOLLOWLOCATION, 1L);
  set(handle, CURLOPT_MAXREDIRS, 5L);
  set(handle, CURLOPT_USERAGENT, "convoy");
  set(handle, CURLOPT_NOSIGNAL, 1L);
  set(handle, CURLOPT_CONNECTTIMEOUT, transfer.options.connect_timeout_s);
  set(handle, CURLOPT_LOW_SPEED_LIMIT, 1000L);  // bytes a second
  set(handle, CURLOPT_LOW_SPEED_TIME, transfer.options.stall_timeout_s);
  set(handle, CURLOPT_WRITEFUNCTION, &write_body);
  set(handle, CURLOPT_WRITEDATA, &transfer);
  set(handle, CURLOPT_NOPROGRESS, 0L);
  set(handle, CURLOPT_XFERINFOFUNCTION, &report_progress);
  set(handle, CURLOPT_XFERINFODATA, &transfer);
  // Not CURLOPT_RESUME_FROM, with which libcurl fails if a server ignores the range.
  if (transfer.offset > 0) set(handle, CURLOPT_RANGE, fmt::format("{}-", transfer.offset).c_str());
}

bool is_unreachable(CURLcode code) {
  return code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY ||
         code == CURLE_COULDNT_CONNECT || code == CURLE_OPERATION_TIMEDOUT;
}

}  // namespace

Attempt download(const std::string& url, const RemoteFile& file, PartFile& part,
                 const FetchOptions& options) {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  const Curl handle(ready == CURLE_OK ? curl_easy_init() : nullptr);
  if (!handle) throw Error("libcurl cannot start");
  Transfer transfer{.handle = handle.get(),
                    .file = file,
                    .part = part,
                    .options = options,
                    .offset = part.bytes(),
                    .refusal = {},
                    .thrown = {}};
  char message[CURL_ERROR_SIZE] = "";
  configure(transfer, url, message);

  const CURLcode code = curl_easy_perform(handle.get());
  if (transfer.thrown) std::rethrow_exception(transfer.thrown);
  if (code == CURLE_OK && !transfer.body_begun) transfer.refusal = accept_answer(transfer);  // an empty body
  if (!transfer.refusal.empty()) return {.problem = transfer.refusal};
  if (code != CURLE_OK) {
    return {.problem = message[0] != '\0' ? message : curl_easy_strerror(code),
            .unreachable = is_unreachable(code)};
  }
  if (file.bytes > 0 && part.bytes() != file.bytes) {
    return {.problem = fmt::format("ends after {} of {} bytes", part.bytes(), file.bytes)};
  }
  return {};
}

}  // namespace convoy
