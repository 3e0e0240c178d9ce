# Finds the messages of ONNX's files, as libonnx-dev has them, and protobuf: the target OnnxProto::OnnxProto. ONNX's own
# package file is of no use here: its targets change their names from version to version, and want the compiler of protobuf.
# For an ONNX elsewhere: -DCMAKE_PREFIX_PATH=<its root>.
find_path(OnnxProto_INCLUDE_DIR onnx/onnx_pb.h)
find_library(OnnxProto_LIBRARY onnx_proto)
mark_as_advanced(OnnxProto_INCLUDE_DIR OnnxProto_LIBRARY)
find_package(Protobuf QUIET)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OnnxProto REQUIRED_VARS OnnxProto_LIBRARY OnnxProto_INCLUDE_DIR Protobuf_LIBRARIES)

if(OnnxProto_FOUND AND NOT TARGET OnnxProto::OnnxProto)
  add_library(OnnxProto::OnnxProto UNKNOWN IMPORTED)
  set_target_properties(OnnxProto::OnnxProto PROPERTIES
    IMPORTED_LOCATION ${OnnxProto_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${OnnxProto_INCLUDE_DIR}
    INTERFACE_COMPILE_DEFINITIONS "ONNX_NAMESPACE=onnx;ONNX_ML=1"
    INTERFACE_LINK_LIBRARIES protobuf::libprotobuf)
endif()
