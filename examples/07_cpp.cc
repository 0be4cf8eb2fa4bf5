/* examples/07_cpp.cc - the same from C++: a checkpoint, a forward pass, and tokens from it, with modelout/modelout.hpp.
 *
 * Objects release themselves and failures are exceptions; structs and enums are those of C.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <modelout/modelout.hpp>

#include <algorithm>
#include <cstdio>

/* Prints the library's notes: tensors of a checkpoint that no part of the model uses, and the like. */
static void print_note(void *, mo_log_level_t level, const char *text) {
  std::fprintf(stderr, "%s: %s\n", level >= MO_LOG_LEVEL_WARNING ? "warning" : "note", text);
}

static void run(const char *directory) {
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.log.write = print_note;
  const modelout::context context(options);
  const modelout::model model(context, directory);
  std::printf("%s: %lld parameters on %s\n", model.architecture(), static_cast<long long>(model.parameter_count()),
              context.backend_name());

  int64_t ids[] = {5, 17, 42};
  const int64_t shape[] = {1, 3};
  const mo_tensor tensor = mo_tensor_cpu(ids, MO_DTYPE_INT64, 2, shape);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &tensor;

  /* Only the last position's logits cross to the host; on the CPU nothing does. */
  const modelout::output output = model.forward(inputs);
  const auto logits = output["logits"].values<float>({MO_SLICE_ALL, MO_SLICE_AT(-1)});
  const auto best = std::max_element(logits.begin(), logits.end());
  std::printf("next token: %td, logit %.3f\n", best - logits.begin(), static_cast<double>(*best));

  mo_generation_options generation = MO_GENERATION_OPTIONS_INIT;
  generation.max_new_tokens = 5;
  const modelout::output generated = model.generate(inputs, generation);
  const auto sequence = generated["sequences"].values<int64_t>();
  for (const int64_t id : sequence) std::printf("%lld ", static_cast<long long>(id));
  std::printf("\n");
  if (sequence[3] != best - logits.begin()) throw modelout::error(MO_STATUS_INTERNAL, "generation chose another token");
}

int main(int argc, char **argv) {
  try {
    run(argc > 1 ? argv[1] : "tests/golden/gpt2_lm");
  } catch (const modelout::error &e) {
    std::fprintf(stderr, "%s [%s]\n", e.what(), mo_status_name(e.status()));
    return 1;
  }
  return 0;
}
