// Compiles stb_image, in a file of its own because it is compiled without warnings.
#define STB_IMAGE_IMPLEMENTATION
#define STBI_FAILURE_USERMSG
#include <stb_image.h>
