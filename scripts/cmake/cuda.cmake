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
find_package(CUDAToolkit 12.8 REQUIRED)

# Architectures that not every toolkit from 12.8 on knows: the first CUDA that does, and the first that no longer does.
function(mo_check_cuda_architecture architecture)
  string(REGEX MATCH "^[0-9]+" number "${architecture}")
  set(since_103 12.9)
  set(since_121 12.9)
  set(since_88 13.0)
  set(since_110 13.0)
  set(until_101 13.0) # 110 since then
  if(DEFINED since_${number} AND CUDAToolkit_VERSION VERSION_LESS since_${number})
    message(FATAL_ERROR "architecture ${architecture} needs CUDA ${since_${number}}, this is ${CUDAToolkit_VERSION}")
  elseif(DEFINED until_${number} AND NOT CUDAToolkit_VERSION VERSION_LESS until_${number})
    message(FATAL_ERROR "architecture ${architecture} is called 110 since CUDA ${until_${number}}, this is ${CUDAToolkit_VERSION}")
  elseif(number LESS 80)
    message(FATAL_ERROR "architecture ${architecture}: the kernels need 80 or newer")
  endif()
endfunction()

# Machine code for every architecture of the list; PTX of the last one only, for cards that come after it (that of an architecture
# with an "a" runs on no other).
set(architectures "")
list(GET MODELOUT_CUDA_ARCHITECTURES -1 newest)
foreach(architecture IN LISTS MODELOUT_CUDA_ARCHITECTURES)
  mo_check_cuda_architecture(${architecture})
  list(APPEND architectures ${architecture}-real)
endforeach()
if(NOT newest MATCHES "a$")
  list(APPEND architectures ${newest}-virtual)
endif()

file(GLOB MODELOUT_CUDA_KERNELS CONFIGURE_DEPENDS kernels/*.cu)
file(GLOB MODELOUT_CUDA_SOURCES CONFIGURE_DEPENDS host/cuda/*.c)

add_library(modelout_cuda_kernels OBJECT ${MODELOUT_CUDA_KERNELS})
target_include_directories(modelout_cuda_kernels PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
# Line tables are most of the device code; compressed it is an eighth. CUDA 12 is there for older drivers, and those before CUDA 12.4
# do not know the smaller of its two compressions.
set(compression --compress-mode=size)
if(CUDAToolkit_VERSION VERSION_LESS 13)
  set(compression -Xfatbin=-compress-all)
endif()
target_compile_options(modelout_cuda_kernels PRIVATE -lineinfo ${compression} -Xcompiler=-Wall,-Wextra)
if(MODELOUT_WARNINGS_AS_ERRORS)
  target_compile_options(modelout_cuda_kernels PRIVATE --Werror=all-warnings)
endif()
set_target_properties(modelout_cuda_kernels PROPERTIES CUDA_ARCHITECTURES "${architectures}")

add_library(modelout_cuda SHARED ${MODELOUT_CUDA_SOURCES} $<TARGET_OBJECTS:modelout_cuda_kernels>)
mo_target_defaults(modelout_cuda)
target_include_directories(modelout_cuda PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(modelout_cuda PRIVATE modelout CUDA::cudart_static CUDA::cublasLt m)
# For the sentence that refuses a card without code.
string(REPLACE ";" ", " architecture_names "${MODELOUT_CUDA_ARCHITECTURES}")
target_compile_definitions(modelout_cuda PRIVATE "MO_CUDA_ARCHITECTURES=\"${architecture_names}\"")
target_link_options(modelout_cuda PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/scripts/cmake/cuda_exports.map -Wl,-z,nodelete)
if(NOT MODELOUT_SANITIZE)
  target_link_options(modelout_cuda PRIVATE -Wl,--no-undefined)
endif()
set_target_properties(modelout_cuda PROPERTIES LINKER_LANGUAGE C INSTALL_RPATH "$ORIGIN"
                      LINK_DEPENDS ${PROJECT_SOURCE_DIR}/scripts/cmake/cuda_exports.map)
if(MODELOUT_INSTALL)
  install(TARGETS modelout_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
