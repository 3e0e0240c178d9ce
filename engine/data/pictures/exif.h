// The orientation that a camera writes into its pictures.
#pragma once

#include <span>

namespace convoy {

/// The EXIF orientation of a JPEG (segment APP1) or PNG file (chunk eXIf): 1 to 8, and 1 where there is none
/// or what stands there is broken. How the picture is to be turned for it says `upright` in picture_file.cpp.
/// Source: CIPA DC-008 (Exif), tag 0x0112; W3C PNG, third edition, 11.3.4.4.
int exif_orientation(std::span<const unsigned char> file);

}  // namespace convoy
