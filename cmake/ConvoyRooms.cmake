# The rooms of the house are libraries: what a room may include is what its library links.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
# Where the CUDA backend's module lies in the build, and what is nobody else's in an installation: it, and libraries that
# Convoy needs.
set(CONVOY_MODULE_FOLDER ${PROJECT_BINARY_DIR}/lib/convoy)
set(CONVOY_PRIVATE_LIBDIR ${CMAKE_INSTALL_LIBDIR}/convoy)
set(CMAKE_BUILD_RPATH ${CONVOY_MODULE_FOLDER})
if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

# Flags of Convoy's own code; they are not passed on to those who link it.
add_library(convoy_flags INTERFACE)
target_compile_options(convoy_flags INTERFACE -Wall -Wextra -Wconversion -Wshadow
  -Wno-missing-field-initializers  # designated initialisers leave the rest at its default on purpose
  $<$<BOOL:${CONVOY_WERROR}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(convoy_flags INTERFACE -Wno-restrict)  # GCC bug 105651: false for literal + std::string
endif()
if(CONVOY_SANITIZE)
  target_compile_options(convoy_flags INTERFACE -fsanitize=${CONVOY_SANITIZE} -fno-omit-frame-pointer
                                                -fno-sanitize-recover=all)
  target_link_options(convoy_flags INTERFACE -fsanitize=${CONVOY_SANITIZE})
endif()

# convoy_sources(VARIABLE PATTERN...) lists the files of this folder, so that a file which is put there is built; the build
# looks again each time.
function(convoy_sources variable)
  file(GLOB_RECURSE files RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS ${ARGN})
  set(${variable} ${files} PARENT_SCOPE)
endfunction()

# convoy_room(NAME [NOT_INSTALLED] SOURCES ... [LINK ...] [PRIVATE_LINK ...]) adds the library convoy_NAME. It is installed,
# unless nobody outside links it.
function(convoy_room name)
  cmake_parse_arguments(room "NOT_INSTALLED" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(convoy_${name} STATIC ${room_SOURCES})
  target_include_directories(convoy_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                                   $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
                                                   $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(convoy_${name} PUBLIC cxx_std_20)
  target_link_libraries(convoy_${name} PUBLIC ${room_LINK}
                                       PRIVATE ${room_PRIVATE_LINK} $<BUILD_INTERFACE:convoy_flags>)
  list(LENGTH room_SOURCES files)
  if(files GREATER 8)  # else that takes longer than it saves
    convoy_precompile(convoy_${name} <algorithm> <cmath> <filesystem> <functional> <map> <memory> <optional> <span>
                                     <string> <vector>)
  endif()
  if(NOT room_NOT_INSTALLED)
    set_property(GLOBAL APPEND PROPERTY CONVOY_ROOMS convoy_${name})
  endif()
endfunction()
