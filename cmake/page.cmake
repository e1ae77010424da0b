# The files of the server's page as arrays of bytes: src/serve/page/page.EXT becomes hone_page_EXT.
foreach(kind html css js)
  set(file ${PROJECT_SOURCE_DIR}/src/serve/page/page.${kind})
  set(made ${PROJECT_BINARY_DIR}/page/page_${kind}.c)
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/page)
  add_custom_command(
    OUTPUT ${made}
    COMMAND ${CMAKE_COMMAND} -D IN=${file} -D OUT=${made} -D NAME=hone_page_${kind}
            -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${file} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    VERBATIM)
  target_sources(hone_serve_objects PRIVATE ${made})
endforeach()
