# The descriptors of all .proto files under src/serve/grpc/proto, one set, as an array of bytes for server reflection.
set(proto_root ${PROJECT_SOURCE_DIR}/src/serve/grpc/proto)
file(GLOB_RECURSE protos RELATIVE ${proto_root} CONFIGURE_DEPENDS ${proto_root}/*.proto)
list(TRANSFORM protos PREPEND ${proto_root}/ OUTPUT_VARIABLE proto_files)
set(descriptors ${PROJECT_BINARY_DIR}/proto/serve/descriptors)
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/proto/serve)
add_custom_command(
  OUTPUT ${descriptors}.c
  COMMAND ${PROTOC_C} --proto_path=${proto_root} --include_imports --descriptor_set_out=${descriptors}.bin ${protos}
  COMMAND ${CMAKE_COMMAND} -D IN=${descriptors}.bin -D OUT=${descriptors}.c -D NAME=hone_grpc_descriptors
          -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
  DEPENDS ${proto_files} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
  VERBATIM)
target_sources(hone_serve_objects PRIVATE ${descriptors}.c)
