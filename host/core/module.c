/* host/core/module.c - finds and opens the CUDA module at run time; falls back to the CPU with a reason.
 *
 * libmodelout.so never links CUDA. The module is looked for beside libmodelout.so, then along the loader's path. It stays open
 * for the life of the process: contexts, and objects that outlive them, point into it.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/module.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "host/core/struct_size.h"

#define MO_CUDA_MODULE "libmodelout_cuda.so"
#define MO_REASON_BYTES 256

typedef struct cuda_module {
  const mo_backend *backend; /* NULL: see reason */
  char reason[MO_REASON_BYTES];
} cuda_module;

/* A CUDA backend that is linked into the program (a static build; the simulated device of the tests) comes before the module.
 */
extern const mo_backend *mo_backend_module(uint32_t abi_version, char *reason, size_t reason_bytes) __attribute__((weak));

static cuda_module the_cuda_module;
static pthread_once_t cuda_module_once = PTHREAD_ONCE_INIT;

/* Beside the library that holds this function. */
static void *open_beside_library(void) {
  Dl_info info;
  char path[4096];
  if (dladdr((const void *)&the_cuda_module, &info) == 0 || info.dli_fname == NULL) return NULL;
  const char *slash = strrchr(info.dli_fname, '/');
  if (slash == NULL) return NULL;
  const int length = snprintf(path, sizeof path, "%.*s/%s", (int)(slash - info.dli_fname), info.dli_fname, MO_CUDA_MODULE);
  return length < (int)sizeof path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
}

static void open_cuda_module(void) {
  cuda_module *module = &the_cuda_module;
  if (mo_backend_module != NULL) {
    module->backend = mo_backend_module(MO_BACKEND_ABI_VERSION, module->reason, sizeof module->reason);
    return;
  }
  void *library = open_beside_library();
  if (library == NULL) library = dlopen(MO_CUDA_MODULE, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    const char *error = dlerror();
    /* The loader's own text says which library is missing: the module, or the CUDA runtime it needs. */
    snprintf(module->reason, sizeof module->reason, "%s", error != NULL ? error : MO_CUDA_MODULE " was not found");
    return;
  }
  void *symbol = dlsym(library, MO_BACKEND_MODULE_SYMBOL);
  mo_backend_module_function get_backend;
  memcpy(&get_backend, &symbol, sizeof get_backend); /* ISO C has no cast from object to function pointer */
  if (get_backend == NULL) {
    snprintf(module->reason, sizeof module->reason, MO_CUDA_MODULE " has no " MO_BACKEND_MODULE_SYMBOL);
    dlclose(library);
    return;
  }
  module->backend = get_backend(MO_BACKEND_ABI_VERSION, module->reason, sizeof module->reason);
}

static mo_status_t choose_cpu(const mo_backend **backend, void **state) {
  *backend = &mo_cpu_backend;
  return mo_cpu_backend.open(0, state);
}

/* What is called without asking whether it is there, and what comes together or not at all. */
static mo_status_t check_entries(const mo_backend *backend) {
  const bool events = backend->event_create != NULL, streams = backend->stream_create != NULL;
  const bool graphs = backend->graph_begin != NULL;
  MO_CHECK(backend->name != NULL && backend->open != NULL && backend->close != NULL && backend->allocate != NULL &&
               backend->release != NULL && backend->allocate_pinned != NULL && backend->release_pinned != NULL &&
               backend->copy != NULL,
           MO_STATUS_INVALID_ARGUMENT,
           "context: the backend lacks its name, or one of open, close, allocate, release, their pinned forms and copy");
  MO_CHECK((backend->event_destroy != NULL) == events && (backend->event_record != NULL) == events &&
               (backend->event_synchronize != NULL) == events,
           MO_STATUS_INVALID_ARGUMENT, "context: the backend has only some of event_create, destroy, record and synchronize");
  MO_CHECK((backend->stream_destroy != NULL) == streams, MO_STATUS_INVALID_ARGUMENT,
           "context: the backend has only one of stream_create and stream_destroy");
  MO_CHECK((backend->graph_end != NULL) == graphs && (backend->graph_launch != NULL) == graphs &&
               (backend->graph_destroy != NULL) == graphs,
           MO_STATUS_INVALID_ARGUMENT, "context: the backend has only some of graph_begin, end, launch and destroy");
  MO_CHECK((backend->range_push != NULL) == (backend->range_pop != NULL), MO_STATUS_INVALID_ARGUMENT,
           "context: the backend has only one of range_push and range_pop");
  MO_CHECK((backend->linear_pack != NULL) == (backend->packed_weight_release != NULL), MO_STATUS_INVALID_ARGUMENT,
           "context: the backend has only one of linear_pack and packed_weight_release");
  return MO_STATUS_OK;
}

/* A table is used where it lies: contexts of one backend know each other by its address. So it has every entry of this ABI
 * version; one of a later release may go on behind them, with nothing set. */
static mo_status_t check_table(const mo_backend *table) {
  mo_backend taken;
  MO_CHECK(table->abi_version == MO_BACKEND_ABI_VERSION, MO_STATUS_INVALID_ARGUMENT,
           "context: backend ABI %u, this library has %d", (unsigned)table->abi_version, MO_BACKEND_ABI_VERSION);
  return mo_struct_take_bytes("context: backend", "sizeof(mo_backend)", table, table->struct_size, sizeof taken, sizeof taken,
                              &taken);
}

mo_status_t mo_backend_choose(const mo_context_options *options, const mo_backend **backend, void **state, char *reason,
                              size_t reason_bytes) {
  if (options->backend != NULL) {
    const mo_backend *custom = options->backend;
    MO_TRY(check_table(custom));
    MO_TRY(check_entries(custom));
    *backend = custom;
    snprintf(reason, reason_bytes, "%s: given by the caller", custom->name);
    return custom->open(options->device_index, state);
  }
  switch (options->device) {
    case MO_DEVICE_CHOICE_CPU:
      snprintf(reason, reason_bytes, "cpu: asked for");
      MO_CHECK(options->device_index == 0, MO_STATUS_NO_DEVICE, "cpu: device index %d, there is only 0",
               (int)options->device_index);
      return choose_cpu(backend, state);
    case MO_DEVICE_CHOICE_AUTO:
    case MO_DEVICE_CHOICE_CUDA:
      break;
    default:
      return mo_fail(MO_STATUS_INVALID_ARGUMENT, "context: device choice %d is unknown", (int)options->device);
  }
  pthread_once(&cuda_module_once, open_cuda_module);
  const cuda_module *module = &the_cuda_module;
  char opening_error[MO_REASON_BYTES] = "";
  if (module->backend != NULL) {
    const mo_status_t status = module->backend->open(options->device_index, state);
    if (status == MO_STATUS_OK) {
      *backend = module->backend;
      snprintf(reason, reason_bytes, "cuda: device %d, %s", (int)options->device_index,
               options->device == MO_DEVICE_CHOICE_CUDA ? "asked for" : "found by auto");
      return MO_STATUS_OK;
    }
    snprintf(opening_error, sizeof opening_error, "%s", mo_last_error());
    if (options->device == MO_DEVICE_CHOICE_CUDA) return status;
  }
  const char *why_not = module->backend != NULL ? opening_error : module->reason;
  MO_CHECK(options->device == MO_DEVICE_CHOICE_AUTO, MO_STATUS_NO_DEVICE, "context: no CUDA device: %s", why_not);
  snprintf(reason, reason_bytes, "cpu: no CUDA device: %s", why_not);
  return choose_cpu(backend, state);
}
