/* host/cli/run_options.c - the options of `modelout run`.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/run.h"

static const struct {
  const char *name;
  mo_pooling_mode_t mode;
} pools[] = {{"cls", MO_POOLING_FIRST}, {"mean", MO_POOLING_MEAN}, {"max", MO_POOLING_MAX}, {"last", MO_POOLING_LAST}};

const char *run_pool_name(mo_pooling_mode_t pool) {
  for (size_t i = 0; i < sizeof pools / sizeof pools[0]; i++) {
    if (pools[i].mode == pool) return pools[i].name;
  }
  return "none";
}

static void print_help(void) {
  printf(
      "usage: modelout run DIR (--text T... | --ids \"1,2;3,4\" | --inputs FILE) [options]\n"
      "\n"
      "Loads the Hugging Face checkpoint folder DIR (config.json, model.safetensors or its shards), runs it once, and shows "
      "the\n"
      "output: its class, each field with shape, type and place or the reason why it is absent, the largest logits, and what\n"
      "was copied to the host to show it.\n"
      "\n"
      "inputs (one kind)\n"
      "  --text T              a text, by the folder's own tokenizer; repeat it for a batch (for its choices, if the model is "
      "a\n"
      "                        multiple choice one)\n"
      "  --ids ROWS            token ids, rows separated by ';', ids by ','\n"
      "  --inputs FILE         tensors of a safetensors file, named as the arguments of forward(): input_ids, attention_mask, "
      "...\n"
      "                        Texts and rows of different length are padded, with an attention mask.\n"
      "                        A text is cut to what the model's position table, max_seq_length of a sentence-transformers\n"
      "                        folder or else model_max_length of the tokenizer allow; a line on stderr says so\n"
      "\n"
      "what to compute\n"
      "  --output-hidden-states, --output-attentions, --use-cache\n"
      "                        optional fields; without them their bytes are never written\n"
      "  --layers L            only these positions of hidden_states (0 is the embedding output) and of attentions: \"0,-1\"\n"
      "  --heads H             only these attention heads: \"0,3\"\n"
      "  --pool cls|mean|max|last|auto\n"
      "                        one L2-normalised vector per text from the last hidden state, and their cosine similarities;\n"
      "                        auto: as the sentence-transformers folder declares. Another way than it declares is refused\n"
      "  --architecture NAME   BertForMaskedLM, ...: instead of what config.json says\n"
      "  --framework F         pt (default), tf or flax: whose output class\n"
      "  --device D            auto (default), cpu, cuda or cuda:N\n"
      "  --dtype T             f32 (default), f16 or bf16: weights and activations\n"
      "\n"
      "what to show\n"
      "  --save FILE           all fields as safetensors, under flat names: logits, hidden_states.0, ...\n"
      "  --json                one JSON object instead of text\n"
      "  --quiet               no text (errors, and the line about a text that is cut, still come)\n"
      "  --help                this text\n"
      "\n"
      "examples\n"
      "  modelout run DIR --text \"Hello, my dog is cute\"\n"
      "  modelout run DIR --text \"a cat\" --text \"a dog\" --text \"tax law\" --pool mean\n"
      "  modelout run DIR --ids \"101,7592,102;101,102\" --output-attentions --layers -1 --heads 0,1\n"
      "  modelout run DIR --inputs inputs.safetensors --output-hidden-states --save outputs.safetensors --quiet\n");
}

static bool parse_index_list(const char *text, int32_t **indices, int32_t *count) {
  cli_numbers numbers = {0};
  const char *end = NULL;
  bool good = cli_parse_numbers(text, '\0', &numbers, &end) && *end == '\0' && numbers.count > 0 && numbers.count <= INT32_MAX;
  for (int64_t i = 0; good && i < numbers.count; i++) good = numbers.values[i] >= INT32_MIN && numbers.values[i] <= INT32_MAX;
  int32_t *list = good ? malloc((size_t)numbers.count * sizeof *list) : NULL;
  for (int64_t i = 0; list != NULL && i < numbers.count; i++) list[i] = (int32_t)numbers.values[i];
  free(numbers.values);
  if (list == NULL) return false;
  free(*indices);
  *indices = list;
  *count = (int32_t)numbers.count;
  return true;
}

static bool parse_pool(const char *text, mo_pooling_mode_t *pool) {
  for (size_t i = 0; i < sizeof pools / sizeof pools[0]; i++) {
    if (strcmp(text, pools[i].name) == 0) {
      *pool = pools[i].mode;
      return true;
    }
  }
  return false;
}

enum {
  OPTION_TEXT = 256,
  OPTION_IDS,
  OPTION_INPUTS,
  OPTION_ARCHITECTURE,
  OPTION_FRAMEWORK,
  OPTION_DEVICE,
  OPTION_DTYPE,
  OPTION_HIDDEN_STATES,
  OPTION_ATTENTIONS,
  OPTION_USE_CACHE,
  OPTION_LAYERS,
  OPTION_HEADS,
  OPTION_POOL,
  OPTION_SAVE,
  OPTION_JSON,
};

static const struct option long_options[] = {{"text", required_argument, NULL, OPTION_TEXT},
                                             {"ids", required_argument, NULL, OPTION_IDS},
                                             {"inputs", required_argument, NULL, OPTION_INPUTS},
                                             {"architecture", required_argument, NULL, OPTION_ARCHITECTURE},
                                             {"framework", required_argument, NULL, OPTION_FRAMEWORK},
                                             {"device", required_argument, NULL, OPTION_DEVICE},
                                             {"dtype", required_argument, NULL, OPTION_DTYPE},
                                             {"output-hidden-states", no_argument, NULL, OPTION_HIDDEN_STATES},
                                             {"output-attentions", no_argument, NULL, OPTION_ATTENTIONS},
                                             {"use-cache", no_argument, NULL, OPTION_USE_CACHE},
                                             {"layers", required_argument, NULL, OPTION_LAYERS},
                                             {"heads", required_argument, NULL, OPTION_HEADS},
                                             {"pool", required_argument, NULL, OPTION_POOL},
                                             {"save", required_argument, NULL, OPTION_SAVE},
                                             {"json", no_argument, NULL, OPTION_JSON},
                                             {"quiet", no_argument, NULL, 'q'},
                                             {"help", no_argument, NULL, 'h'},
                                             {NULL, 0, NULL, 0}};

/* One option's value; the exit code of a wrong one. */
static int take_option(int option, run_options *options) {
  switch (option) {
    case OPTION_TEXT:
      options->texts[options->text_count++] = optarg;
      break;
    case OPTION_IDS:
      options->ids = optarg;
      break;
    case OPTION_INPUTS:
      options->inputs_path = optarg;
      break;
    case OPTION_SAVE:
      options->save_path = optarg;
      break;
    case OPTION_HIDDEN_STATES:
      options->output_hidden_states = true;
      break;
    case OPTION_ATTENTIONS:
      options->output_attentions = true;
      break;
    case OPTION_USE_CACHE:
      options->use_cache = true;
      break;
    case OPTION_JSON:
      options->json = true;
      break;
    case 'q':
      options->quiet = true;
      break;
    case OPTION_ARCHITECTURE:
      options->architecture = optarg;
      break;
    case OPTION_FRAMEWORK:
      if (cli_parse_framework(optarg, &options->framework)) break;
      return cli_usage_error(RUN_COMMAND, "--framework %s: must be pt, tf or flax", optarg);
    case OPTION_DEVICE:
      return cli_take_device(RUN_COMMAND, optarg, &options->context);
    case OPTION_DTYPE:
      return cli_take_dtype(RUN_COMMAND, optarg, &options->dtype);
    case OPTION_LAYERS:
      if (parse_index_list(optarg, &options->layers, &options->layer_count)) break;
      return cli_usage_error(RUN_COMMAND, "--layers %s: must be numbers separated by commas", optarg);
    case OPTION_HEADS:
      if (parse_index_list(optarg, &options->heads, &options->head_count)) break;
      return cli_usage_error(RUN_COMMAND, "--heads %s: must be numbers separated by commas", optarg);
    case OPTION_POOL:
      options->pool_auto = strcmp(optarg, "auto") == 0;
      if (options->pool_auto || parse_pool(optarg, &options->pool)) break;
      return cli_usage_error(RUN_COMMAND, "--pool %s: must be cls, mean, max, last or auto", optarg);
    default:
      return CLI_EXIT_USAGE;
  }
  return CLI_EXIT_OK;
}

/* Rules that hold between options. */
static int check_options(int argc, char **argv, run_options *options) {
  const int exit_code = cli_take_directory(RUN_COMMAND, argc, argv, &options->directory);
  if (exit_code != CLI_EXIT_OK) return exit_code;
  const int kinds = (options->text_count > 0) + (options->ids != NULL) + (options->inputs_path != NULL);
  if (kinds == 0) return cli_usage_error(RUN_COMMAND, "nothing to run on: give --text, --ids or --inputs");
  if (kinds > 1) return cli_usage_error(RUN_COMMAND, "--text, --ids and --inputs exclude each other");
  if (options->heads != NULL && !options->output_attentions) {
    return cli_usage_error(RUN_COMMAND, "--heads selects attention weights: give --output-attentions too");
  }
  if (options->layers != NULL && !options->output_attentions && !options->output_hidden_states) {
    return cli_usage_error(RUN_COMMAND, "--layers selects layers: give --output-hidden-states or --output-attentions too");
  }
  return CLI_EXIT_OK;
}

bool run_options_parse(int argc, char **argv, run_options *options, int *exit_code) {
  *options = (run_options){.context = MO_CONTEXT_OPTIONS_INIT, .framework = MO_FRAMEWORK_PT};
  options->texts = calloc((size_t)argc, sizeof *options->texts);
  if (options->texts == NULL) {
    *exit_code = cli_fail(RUN_COMMAND, CLI_EXIT_FAILED, "out of memory");
    return false;
  }
  for (int option; (option = getopt_long(argc, argv, ":hq", long_options, NULL)) != -1;) {
    if (option == 'h') {
      print_help();
      *exit_code = CLI_EXIT_OK;
      return false;
    }
    *exit_code = option == '?' || option == ':' ? cli_option_error(RUN_COMMAND, option, argv) : take_option(option, options);
    if (*exit_code != CLI_EXIT_OK) return false;
  }
  *exit_code = check_options(argc, argv, options);
  return *exit_code == CLI_EXIT_OK;
}

void run_options_release(run_options *options) {
  free(options->sub_directory);
  free(options->texts);
  free(options->layers);
  free(options->heads);
}
