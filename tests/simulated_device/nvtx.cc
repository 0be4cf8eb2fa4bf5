/* tests/simulated_device/nvtx.cc - a profiler that writes down the NVTX ranges it is told of.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <nvtx3/nvToolsExt.h>

#include <map>
#include <mutex>
#include <string>

#include "tests/simulated_device/control.h"

struct nvtxDomainRegistration_st {
  std::string name;
};

namespace {

std::mutex mutex;
bool attached = false;
std::map<std::string, nvtxDomainRegistration_st> domains; /* entries stay where they are */
std::string record;
/* NVTX keeps a stack per thread and domain; the domains of this record are few. */
thread_local std::map<nvtxDomainHandle_t, int> depths;

void Write(nvtxDomainHandle_t domain, int depth, const std::string &text) {
  record += domain == nullptr ? "no domain" : domain->name;
  record += std::string(1 + 2 * static_cast<size_t>(depth), ' ') + text + "\n";
}

}  // namespace

nvtxDomainHandle_t nvtxDomainCreateA(const char *name) {
  const std::lock_guard<std::mutex> lock(mutex);
  if (!attached) return nullptr;
  nvtxDomainRegistration_st &domain = domains[name];
  domain.name = name;
  return &domain;
}

int nvtxDomainRangePushEx(nvtxDomainHandle_t domain, const nvtxEventAttributes_t *attributes) {
  const std::lock_guard<std::mutex> lock(mutex);
  if (attributes->version != NVTX_VERSION || attributes->size != NVTX_EVENT_ATTRIB_STRUCT_SIZE ||
      attributes->messageType != NVTX_MESSAGE_TYPE_ASCII) {
    record += "attributes that are not filled\n";
    return NVTX_NO_PUSH_POP_TRACKING;
  }
  const int depth = depths[domain]++;
  Write(domain, depth, std::string("+ ") + attributes->message.ascii);
  return depth;
}

int nvtxDomainRangePop(nvtxDomainHandle_t domain) {
  const std::lock_guard<std::mutex> lock(mutex);
  int &depth = depths[domain];
  if (depth == 0) {
    record += "a range is closed that was not opened\n";
    return NVTX_NO_PUSH_POP_TRACKING;
  }
  Write(domain, --depth, "-");
  return depth;
}

void simulated_attach_profiler(bool attach) {
  const std::lock_guard<std::mutex> lock(mutex);
  attached = attach;
  record.clear();
}

const char *simulated_take_ranges(void) {
  static std::string taken;
  const std::lock_guard<std::mutex> lock(mutex);
  taken = std::move(record);
  record.clear();
  return taken.c_str();
}
