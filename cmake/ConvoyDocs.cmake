# The target `docs` makes the pages of the public headers, docs/html/index.html in the build folder, where doxygen is
# installed. It is no part of `all`.
find_program(CONVOY_DOXYGEN doxygen)
mark_as_advanced(CONVOY_DOXYGEN)
set(docs_target docs)
if(NOT PROJECT_IS_TOP_LEVEL)
  set(docs_target convoy_docs)
endif()
if(CONVOY_DOXYGEN)
  add_custom_target(${docs_target}
    COMMAND ${PROJECT_SOURCE_DIR}/docs/make_pages.sh ${CONVOY_DOXYGEN} ${PROJECT_BINARY_DIR}/docs
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} COMMENT "Writing the pages of the library" VERBATIM)
endif()
