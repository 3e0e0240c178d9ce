// Compiles stb_image, in a file of its own because it is compiled without warnings.
// Softimage's PIC and Radiance's HDR are left out, which nobody has: where such a file ends within its runs,
// stb_image 2.27 reads on for ever.
#define STBI_NO_PIC
#define STBI_NO_HDR
#include <cstdlib>
// Where a file ends too early, some of stb_image's decoders leave the rest of a picture as malloc gave it.
#define STBI_MALLOC(bytes) std::calloc(1, bytes)
#define STBI_REALLOC std::realloc
#define STBI_FREE std::free
#define STB_IMAGE_IMPLEMENTATION
#define STBI_FAILURE_USERMSG
#include <stb_image.h>
