# Compiles through ccache where it is installed, unless the user names another launcher.
option(CONVOY_CCACHE "Compile through ccache where it is installed" ON)
if(CONVOY_CCACHE)
  find_program(CCACHE_PROGRAM ccache)
  mark_as_advanced(CCACHE_PROGRAM)
  foreach(language CXX CUDA)
    if(CCACHE_PROGRAM AND NOT DEFINED CMAKE_${language}_COMPILER_LAUNCHER)
      set(CMAKE_${language}_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
    endif()
  endforeach()
endif()

# convoy_precompile(TARGET HEADERS...) compiles once what most of a target's files include: half of the time goes into
# reading headers. Not where there is a compiler launcher, because ccache understands that only under settings of its own,
# and so it is seen there whether a file includes what it needs.
function(convoy_precompile target)
  if(NOT CMAKE_CXX_COMPILER_LAUNCHER)
    target_precompile_headers(${target} PRIVATE ${ARGN})
  endif()
endfunction()
