// Compiles stb_image, in a file of its own because it is compiled without warnings.
// Softimage's PIC, which nobody has, is left out.
#define STBI_NO_PIC
#include <cstdlib>
// Where a file ends too early, some of stb_image's decoders leave the rest of a picture as malloc gave it.
#define STBI_MALLOC(bytes) std::calloc(1, bytes)
#define STBI_REALLOC std::realloc
#define STBI_FREE std::free
#define STB_IMAGE_IMPLEMENTATION
#define STBI_FAILURE_USERMSG
#include <stb_image.h>
