// Compiles stb_image and its writer, in a file of their own because they are compiled without warnings.
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
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb_image_write.h>
