# The CUDA backend as a module of its own, opened at run time by libmodelout.so, which never links CUDA.
set(MODELOUT_CUDA_ARCHITECTURES "80;86;89;90a;100;120" CACHE STRING "Architectures the CUDA kernels are compiled for")
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)
set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES ${MODELOUT_CUDA_ARCHITECTURES}) # or enable_language would choose one
endif()
enable_language(CUDA)
find_package(CUDAToolkit 13 REQUIRED)

# Machine code for every architecture of the list; PTX of the last one only, for cards that come after it (that of an architecture
# with an "a" runs on no other).
set(architectures "")
list(GET MODELOUT_CUDA_ARCHITECTURES -1 newest)
foreach(architecture IN LISTS MODELOUT_CUDA_ARCHITECTURES)
  list(APPEND architectures ${architecture}-real)
endforeach()
if(NOT newest MATCHES "a$")
  list(APPEND architectures ${newest}-virtual)
endif()

file(GLOB MODELOUT_CUDA_KERNELS CONFIGURE_DEPENDS kernels/*.cu)
file(GLOB MODELOUT_CUDA_SOURCES CONFIGURE_DEPENDS host/cuda/*.c)

add_library(modelout_cuda_kernels OBJECT ${MODELOUT_CUDA_KERNELS})
target_include_directories(modelout_cuda_kernels PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
# Line tables are most of the device code; compressed (drivers have known it since CUDA 12.4) it is an eighth.
target_compile_options(modelout_cuda_kernels PRIVATE -lineinfo --compress-mode=size -Xcompiler=-Wall,-Wextra)
if(MODELOUT_WARNINGS_AS_ERRORS)
  target_compile_options(modelout_cuda_kernels PRIVATE --Werror=all-warnings)
endif()
set_target_properties(modelout_cuda_kernels PROPERTIES CUDA_ARCHITECTURES "${architectures}")

add_library(modelout_cuda SHARED ${MODELOUT_CUDA_SOURCES} $<TARGET_OBJECTS:modelout_cuda_kernels>)
mo_target_defaults(modelout_cuda)
target_include_directories(modelout_cuda PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(modelout_cuda PRIVATE modelout CUDA::cudart_static CUDA::cublasLt m)
target_link_options(modelout_cuda PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/scripts/cmake/cuda_exports.map -Wl,-z,nodelete)
if(NOT MODELOUT_SANITIZE)
  target_link_options(modelout_cuda PRIVATE -Wl,--no-undefined)
endif()
set_target_properties(modelout_cuda PROPERTIES LINKER_LANGUAGE C INSTALL_RPATH "$ORIGIN"
                      LINK_DEPENDS ${PROJECT_SOURCE_DIR}/scripts/cmake/cuda_exports.map)
if(MODELOUT_INSTALL)
  install(TARGETS modelout_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
