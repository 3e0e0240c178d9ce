// The one place where stb_image is compiled; its warnings are not ours.
#define STB_IMAGE_IMPLEMENTATION
#define STBI_FAILURE_USERMSG
#include <stb_image.h>
