/* tests/model/staging_test.cc - inputs on the host for a device with memory of its own: staged, copied, and the results the
 * same.
 *
 * The device is the CPU backend behind a table that says its memory is not the host's.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "host/core/backend.h"
#include "modelout/modelout.h"

namespace {

int64_t copies_to_device;

mo_status_t Copy(void *, void *destination, const void *source, size_t bytes, mo_copy_direction_t direction, mo_stream) {
  if (direction == MO_COPY_TO_DEVICE) copies_to_device++;
  if (bytes != 0) std::memmove(destination, source, bytes);
  return MO_STATUS_OK;
}

mo_status_t CopyView(mo_context_t *, void *destination, const mo_tensor *view, mo_stream) {
  EXPECT_TRUE(mo_tensor_is_contiguous(view));
  std::memcpy(destination, view->data, static_cast<size_t>(mo_tensor_bytes(view)));
  return MO_STATUS_OK;
}

int token;
mo_status_t StreamCreate(void *, mo_stream *stream) { return *stream = &token, MO_STATUS_OK; }
void StreamDestroy(void *, mo_stream) {}
mo_status_t StreamSynchronize(void *, mo_stream) { return MO_STATUS_OK; }
mo_status_t StreamWait(void *, mo_stream, mo_event) { return MO_STATUS_OK; }
mo_status_t EventCreate(void *, mo_event *event) { return *event = &token, MO_STATUS_OK; }
void EventDestroy(void *, mo_event) {}
mo_status_t EventRecord(void *, mo_event, mo_stream) { return MO_STATUS_OK; }
mo_status_t EventSynchronize(void *, mo_event) { return MO_STATUS_OK; }
bool EventIsComplete(void *, mo_event) { return true; }

mo_backend SeparateBackend() {
  mo_backend backend = mo_cpu_backend;
  backend.name = "separate";
  backend.kind = MO_DEVICE_KIND_CUSTOM;
  backend.memory_is_host = false;
  backend.copy = Copy;
  backend.copy_view_to_host = CopyView;
  backend.stream_create = StreamCreate;
  backend.stream_destroy = StreamDestroy;
  backend.stream_synchronize = StreamSynchronize;
  backend.stream_wait_event = StreamWait;
  backend.event_create = EventCreate;
  backend.event_destroy = EventDestroy;
  backend.event_record = EventRecord;
  backend.event_synchronize = EventSynchronize;
  backend.event_is_complete = EventIsComplete;
  return backend;
}

struct Session {
  mo_context_t *context = nullptr;
  mo_model_t *model = nullptr;
  mo_output *output = nullptr;
  ~Session() {
    mo_output_destroy(output);
    mo_model_destroy(model);
    mo_context_destroy(context);
  }
  std::vector<float> Read(const char *key) {
    mo_field *field = mo_output_get(output, key);
    std::vector<float> values(static_cast<size_t>(mo_tensor_count(mo_field_tensor(field))));
    EXPECT_EQ(mo_field_read_float32(field, nullptr, 0, values.data(), static_cast<int64_t>(values.size())), MO_STATUS_OK)
        << mo_last_error();
    return values;
  }
};

class Staging : public ::testing::TestWithParam<const char *> {};

TEST_P(Staging, GivesWhatTheHostGives) {
  const std::string directory = std::string(MO_TEST_DATA) + "/" + GetParam();
  mo_safetensors_t *file = nullptr;
  ASSERT_EQ(mo_safetensors_open((directory + "/inputs.safetensors").c_str(), &file), MO_STATUS_OK);
  std::vector<mo_tensor> tensors(6);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  const mo_tensor **slots[] = {&inputs.input_ids, &inputs.attention_mask,  &inputs.token_type_ids,
                               &inputs.labels,    &inputs.start_positions, &inputs.end_positions};
  const char *names[] = {"input_ids", "attention_mask", "token_type_ids", "labels", "start_positions", "end_positions"};
  int64_t given = 0;
  for (size_t i = 0; i < 6; i++) {
    if (mo_safetensors_tensor(file, names[i], &tensors[i]) != MO_STATUS_OK) continue;
    *slots[i] = &tensors[i];
    given++;
  }

  const mo_backend backend = SeparateBackend();
  Session host, device;
  for (Session *run : {&host, &device}) {
    mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
    options.device = MO_DEVICE_CHOICE_CPU;
    if (run == &device) options.backend = &backend;
    options.own_stream = run == &device;
    ASSERT_EQ(mo_context_create(&options, &run->context), MO_STATUS_OK) << mo_last_error();
    ASSERT_EQ(mo_model_load(run->context, directory.c_str(), nullptr, &run->model), MO_STATUS_OK) << mo_last_error();
    copies_to_device = 0;
    ASSERT_EQ(mo_model_forward(run->model, &inputs, nullptr, &run->output), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(copies_to_device, run == &device ? given : 0);
  }
  const char *key = mo_output_key_at(host.output, 1);
  EXPECT_EQ(host.Read(key), device.Read(key));
  EXPECT_EQ(host.Read("loss"), device.Read("loss"));

  /* Inputs that lie on the device already: nothing is copied, and values nobody can look at are left to the ops. */
  std::vector<mo_tensor> there(tensors);
  std::vector<std::vector<char>> memory(6);
  for (size_t i = 0; i < 6; i++) {
    if (*slots[i] == nullptr) continue;
    const size_t bytes = static_cast<size_t>(mo_tensor_bytes(&tensors[i]));
    if (tensors[i].dtype == MO_DTYPE_FLOAT32) continue; /* stays on the host: both kinds in one call */
    memory[i].assign(static_cast<const char *>(tensors[i].data), static_cast<const char *>(tensors[i].data) + bytes);
    there[i].data = memory[i].data();
    there[i].device = mo_context_device(device.context);
    *slots[i] = &there[i];
    given--;
  }
  copies_to_device = 0;
  const std::vector<float> before = device.Read(key);
  const mo_status_t status = mo_model_run(device.model, &inputs, nullptr, device.output);
  if (std::string(GetParam()) == "electra_pretraining") {
    /* Integer labels of a float loss cannot be converted over there. */
    EXPECT_EQ(status, MO_STATUS_UNSUPPORTED);
    EXPECT_EQ(device.Read(key), before);
  } else {
    EXPECT_EQ(status, MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(copies_to_device, given);
    EXPECT_EQ(device.Read(key), before);
  }
  mo_safetensors_close(file);
}

INSTANTIATE_TEST_SUITE_P(Cases, Staging,
                         ::testing::Values("bert_qa", "bert_multiple_choice", "bert_seqcls_multilabel", "electra_pretraining",
                                           "roberta_masked_lm"),
                         [](const auto &test) { return std::string(test.param); });

}  // namespace
