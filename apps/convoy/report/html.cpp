#include "apps/convoy/report/html.h"

#include <fmt/format.h>
#include <stb_image_write.h>

#include <algorithm>
#include <cmath>

#include "apps/convoy/printable.h"
#include "apps/convoy/report/style.h"
#include "convoy/error.h"

namespace convoy {
namespace {

void append(void* to, void* data, int size) {
  const auto* const bytes = static_cast<const std::uint8_t*>(data);
  auto& out = *static_cast<std::vector<std::uint8_t>*>(to);
  out.insert(out.end(), bytes, bytes + size);
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'') {
      out += fmt::format("&#{};", static_cast<int>(c));
    } else {
      out += c;
    }
  }
  return out;
}

std::string base64(std::span<const std::uint8_t> bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t three = 0;
    for (std::size_t k = 0; k < 3; ++k) three = three << 8 | (i + k < bytes.size() ? bytes[i + k] : 0u);
    for (std::size_t k = 0; k < 4; ++k) {
      out += i + k > bytes.size() ? '=' : kDigits[three >> (18 - 6 * k) & 63u];
    }
  }
  return out;
}

std::vector<std::uint8_t> png_of(const Picture8& picture) {
  std::vector<std::uint8_t> png;
  if (stbi_write_png_to_func(append, &png, picture.width, picture.height, picture.channels,
                             picture.values.data(), 0) == 0) {
    throw Error("a picture cannot be written as PNG");
  }
  return png;
}

std::string image(const Picture8& picture, std::string_view alt, int side) {
  const double scale = static_cast<double>(side) / std::max(picture.width, picture.height);
  const auto scaled = [&](int pixels) { return std::max(std::lround(scale * pixels), 1L); };
  return fmt::format(R"(<img src="data:image/png;base64,{}" alt="{}" width="{}" height="{}">)",
                     base64(png_of(picture)), escaped(alt), scaled(picture.width), scaled(picture.height));
}

std::string table(std::string_view caption, const std::vector<std::string>& titles,
                  const std::vector<std::vector<Cell>>& rows) {
  const auto style = [&](std::size_t column) {
    const bool number = !rows.empty() && column < rows[0].size() && rows[0][column].number;
    return number ? R"( class="number")" : "";
  };
  std::string out = fmt::format(R"(<div class="scroll" tabindex="0" role="region" aria-label="{0}"><table>)"
                                R"(<caption><span>{0}</span></caption><thead><tr>)",
                                escaped(caption));
  for (std::size_t i = 0; i < titles.size(); ++i) {
    out += fmt::format(R"(<th scope="col"{}>{}</th>)", style(i), titles[i]);
  }
  out += "</tr></thead><tbody>\n";
  for (const auto& row : rows) {
    out += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += i == 0 ? fmt::format(R"(<th scope="row">{}</th>)", row[i].html)
                    : fmt::format("<td{}>{}</td>", row[i].number ? R"( class="number")" : "", row[i].html);
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string section(std::string_view id, std::string_view title, std::string_view content) {
  return fmt::format(R"(<section aria-labelledby="{0}"><h2 id="{0}">{1}</h2>)"
                     "\n{2}</section>\n",
                     id, title, content);
}

std::string page(std::string_view title, std::string_view body) {
  return fmt::format(
      R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{}</title>
<style>
{}</style>
</head>
<body>
<main>
{}</main>
</body>
</html>
)",
      escaped(title), kPageStyle, body);
}

}  // namespace convoy
