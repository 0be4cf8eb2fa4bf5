/* host/cli/classes.c - `modelout classes`: the table of output classes, for people and as JSON.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "host/cli/cli.h"

#define COMMAND "classes"

static void print_help(void) {
  printf(
      "usage: modelout classes [NAME] [--framework pt|tf|flax] [--json]\n"
      "\n"
      "Without NAME: every output class with its fields in order. With NAME: one class, each field with its kind, shape and\n"
      "the condition under which it is there.\n"
      "\n"
      "  --framework F  only that framework's classes; with NAME: the namesake there (MaskedLMOutput in tf is "
      "TFMaskedLMOutput)\n"
      "  --json         the same as JSON: {\"classes\": [{\"name\", \"framework\", \"fields\": [...]}, ...]}; \"documented\" "
      "is false\n"
      "                 for classes that the Transformers page \"Model outputs\" does not list\n"
      "  --help         this text\n"
      "\n"
      "examples\n"
      "  modelout classes SequenceClassifierOutput\n"
      "  modelout classes MaskedLMOutput --framework flax\n"
      "  modelout classes --framework pt --json > classes.json\n");
}

static void print_line(const mo_class *output_class) {
  printf("  %s\n      ", output_class->name);
  for (int32_t i = 0; i < output_class->field_count; i++) {
    printf("%s%s", i > 0 ? ", " : "", output_class->fields[i].name);
  }
  printf(output_class->field_count > 0 ? "\n" : "(any fields: the base of the others, for ad-hoc outputs)\n");
}

static void print_all(int framework) {
  mo_framework_t section = MO_FRAMEWORK_BASE;
  static const char *const titles[] = {"base class", "PyTorch", "TensorFlow", "Flax"};
  bool documented = true;
  for (int32_t i = 0; i < mo_class_count(); i++) {
    const mo_class *output_class = mo_class_at(i);
    if (framework >= 0 && (int)output_class->framework != framework) continue;
    if (i == 0 || section != output_class->framework || documented != mo_class_is_documented(output_class)) {
      section = output_class->framework;
      documented = mo_class_is_documented(output_class);
      printf("%s%s%s\n", i > 0 && (framework < 0 || !documented) ? "\n" : "", titles[section],
             documented ? "" : ", not on the Transformers page \"Model outputs\"");
    }
    print_line(output_class);
  }
}

static void print_shape(const char *const *shape, int32_t rank) {
  printf("(");
  for (int32_t i = 0; rank < 0 ? shape[i] != NULL : i < rank; i++) printf("%s%s", i > 0 ? ", " : "", shape[i]);
  printf(")");
}

static void print_one(const mo_class *output_class) {
  printf("%s  (%s, %s)\n%s\n", output_class->name, mo_framework_name(output_class->framework), output_class->module,
         output_class->purpose);
  if (!mo_class_is_documented(output_class)) printf("Not on the Transformers page \"Model outputs\".\n");
  for (int32_t i = 0; i < output_class->field_count; i++) {
    const mo_class_field *field = &output_class->fields[i];
    printf("\n%2d  %s%s\n", i, field->name, field->optional ? "  (optional)" : "");
    if (field->meaning != NULL) printf("    %s\n", field->meaning);
    printf("    kind:  %s", mo_class_field_kind_name(field->kind));
    if (field->tuple_length != NULL) printf(", %s entries", field->tuple_length);
    if (field->rank >= 0) {
      printf("\n    shape: ");
      print_shape(field->shape, field->rank);
    }
    if (field->observed_shape != NULL) {
      printf("\n    really ");
      print_shape(field->observed_shape, -1);
    }
    printf("\n    when:  %s\n", field->when_text != NULL ? field->when_text : field->when);
  }
}

static int print_json(const mo_class *output_class, int framework) {
  char *json = NULL;
  const mo_status_t status = mo_class_to_json(output_class, framework, &json);
  if (status != MO_STATUS_OK) return cli_library_error(COMMAND, status);
  printf("%s\n", json);
  mo_free_text(json);
  return CLI_EXIT_OK;
}

int cli_classes(int argc, char **argv) {
  static const struct option options[] = {{"framework", required_argument, NULL, 'f'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
  int framework = -1;
  bool json = false;
  for (int option; (option = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
    mo_framework_t parsed = MO_FRAMEWORK_BASE;
    switch (option) {
      case 'f':
        if (!cli_parse_framework(optarg, &parsed)) {
          return cli_usage_error(COMMAND, "--framework %s: must be pt, tf or flax", optarg);
        }
        framework = (int)parsed;
        break;
      case 'j':
        json = true;
        break;
      case 'h':
        print_help();
        return CLI_EXIT_OK;
      default:
        return cli_option_error(COMMAND, option, argv);
    }
  }
  if (argc - optind > 1) return cli_usage_error(COMMAND, "'%s': one class at a time", argv[optind + 1]);
  if (argc == optind) {
    if (json) return print_json(NULL, framework);
    print_all(framework);
    return CLI_EXIT_OK;
  }
  const char *name = argv[optind];
  const mo_class *output_class = mo_class_find(name);
  if (output_class != NULL && framework >= 0 && (int)output_class->framework != framework) {
    output_class = mo_class_find_in_framework(name, (mo_framework_t)framework);
  }
  if (output_class == NULL) {
    return framework < 0
               ? cli_usage_error(COMMAND, "no output class '%s'", name)
               : cli_usage_error(COMMAND, "no output class '%s' in %s", name, mo_framework_name((mo_framework_t)framework));
  }
  if (json) return print_json(output_class, -1);
  print_one(output_class);
  return CLI_EXIT_OK;
}
