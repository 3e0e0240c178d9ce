// The one place where stb_image_write is compiled; its warnings are not ours.
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb_image_write.h>
