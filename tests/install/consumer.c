/* tests/install/consumer.c - an outside program: one op on its own memory, and an output filled by hand.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <modelout/modelout.h>
#include <stdio.h>

static int run(mo_context_t *context) {
  float logits[] = {1.0f, 3.0f, 2.0f};
  float probabilities[3] = {0};
  const int64_t shape[] = {1, 3};
  const mo_tensor input = mo_tensor_cpu(logits, MO_DTYPE_FLOAT32, 2, shape);
  const mo_tensor output_tensor = mo_tensor_cpu(probabilities, MO_DTYPE_FLOAT32, 2, shape);
  mo_softmax_params params = MO_SOFTMAX_PARAMS_INIT;
  params.output = &output_tensor;
  params.input = &input;
  if (mo_softmax(context, &params) != MO_STATUS_OK) return 1;
  if (!(probabilities[1] > probabilities[2] && probabilities[2] > probabilities[0])) return 2;

  mo_field *field = NULL;
  if (mo_field_create_tensor(context, &input, NULL, NULL, &field) != MO_STATUS_OK) return 3;
  const mo_item item = {"logits", field};
  mo_output *output = NULL;
  const mo_class *output_class = mo_class_find("SequenceClassifierOutput");
  const mo_status_t status = mo_output_create_from_fields(context, output_class, &item, 1, &output);
  mo_field_release(field);
  if (status != MO_STATUS_OK) return 4;
  const mo_sequence_classifier_output *outputs = (const mo_sequence_classifier_output *)output;
  const int result = outputs->logits == mo_output_get(output, "logits") && outputs->loss == NULL ? 0 : 5;
  mo_output_destroy(output);
  return result;
}

int main(void) {
  mo_context_t *context = NULL;
  if (mo_version_number() != MO_VERSION_NUMBER || mo_context_create(NULL, &context) != MO_STATUS_OK) return 10;
  const int result = run(context);
  mo_context_destroy(context);
  printf("modelout %s: %s\n", mo_version_string(), result == 0 ? "good" : mo_last_error());
  return result;
}
