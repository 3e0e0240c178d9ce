# convoy_cover(TARGET) counts which lines of a library's C++ code run, if CONVOY_COVERAGE is set (tests/coverage.sh).
# Code is hardly optimised then, or its lines would not be told apart; counters are shared by threads.
function(convoy_cover target)
  if(CONVOY_COVERAGE)
    target_compile_options(${target} PRIVATE
      $<$<COMPILE_LANGUAGE:CXX>:--coverage -Og -fno-inline -fprofile-update=atomic>)
    target_link_options(${target} INTERFACE --coverage)
  endif()
endfunction()
